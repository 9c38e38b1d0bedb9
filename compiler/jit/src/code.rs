//! Machine code in memory.

use std::sync::{Arc, Mutex};

use cranelift_jit::JITModule;
pub use dlm_runtime::program::Entry;

use crate::processor::Interpreted;

/// What a kernel came to, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The function as it was given to the generator (CLIF); empty for the wide emitter.
    pub clif: String,
    /// The machine's instructions.
    pub assembly: String,
}

/// The code of some kernels. Dropping it frees the code: whoever holds an [`Entry`] holds the `Arc` too.
pub struct Code {
    module: Mutex<Option<JITModule>>,
    entries: Vec<Entry>,
    listings: Vec<Option<Listing>>,
    bytes: usize,
    /// What entries run that call the processor in software: they hold its address.
    interpreted: Vec<Arc<Interpreted>>,
}

impl Code {
    pub(crate) fn new(
        module: JITModule,
        entries: Vec<Entry>,
        listings: Vec<Option<Listing>>,
        bytes: usize,
    ) -> Code {
        Code {
            module: Mutex::new(Some(module)),
            entries,
            listings,
            bytes,
            interpreted: Vec::new(),
        }
    }

    /// The same, with what its entries run in software.
    pub(crate) fn keeping(mut self, interpreted: Vec<Arc<Interpreted>>) -> Code {
        self.interpreted = interpreted;
        self
    }

    /// The entry of the kernel of that number. Valid while this `Code` lives.
    pub fn entry(&self, kernel: usize) -> Option<Entry> {
        self.entries.get(kernel).copied()
    }

    /// How many kernels there are; equal ones share code.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The size of all code in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text of the kernel of that number, where [`Options::listings`](crate::Options::listings) was set.
    pub fn listing(&self, kernel: usize) -> Option<&Listing> {
        self.listings.get(kernel)?.as_ref()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let module = match self.module.get_mut() {
            Ok(module) => module.take(),
            Err(poisoned) => poisoned.into_inner().take(),
        };
        if let Some(module) = module {
            // SAFETY: entries are only valid while this value lives, which ends here, so nothing runs or will run
            // the module's functions.
            unsafe { module.free_memory() };
        }
    }
}
