//! Kernels to [`Code`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cranelift::prelude::FunctionBuilderContext;
use cranelift_codegen::{Context, control::ControlPlane};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::Module;
use dlm_core::loops::{Kernel, expand_math, expand_pairs};
use rayon::prelude::*;

use crate::backend::Backend;
use crate::code::{Code, Entry, Listing};
use crate::distinct::distinct;
use crate::emit::emit;
use crate::error::JitError;
use crate::processor::{Interpreted, trampoline};
use crate::target::{Effort, Target};
use crate::wide::{self, MachineCode};

/// How to compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep the text of each function and of its machine code.
    pub listings: bool,
    /// Use this effort for all kernels; by default contractions are kept and the others rewritten.
    pub effort: Option<Effort>,
    /// Use this emitter, which the machine must be able to run; by default [`Backend::host`], and Cranelift for a
    /// kernel that it has no code for.
    pub backend: Option<Backend>,
}

/// One compiled function, not yet in its place.
struct Compiled {
    bytes: Vec<u8>,
    alignment: u64,
    listing: Option<Listing>,
    /// What the bytes run, where they are no code of the kernel themselves.
    interpreted: Option<Arc<Interpreted>>,
}

/// Compiles `kernels`, equal ones once (names do not count), on the threads of the current rayon pool.
///
/// # Errors
/// For a machine without the needed instructions, a kernel that the verifier refuses, and where the generator fails;
/// never a panic.
pub fn compile(kernels: &[Kernel], options: &Options) -> Result<Arc<Code>, JitError> {
    let target = Target::host()?;
    let kernels: Vec<&Kernel> = kernels.iter().collect();
    let (distinct, places) = distinct(&kernels);
    let compiled: Vec<Compiled> = distinct
        .par_iter()
        .map(|&kernel| guarded(kernel, &target, options))
        .collect::<Result<_, _>>()?;
    let isa = target.isa(Effort::Keep).clone();
    let names = cranelift_module::default_libcall_names();
    let mut module = JITModule::new(JITBuilder::with_isa(isa, names));
    let placed = place(&mut module, &compiled).map_err(|e| JitError::Placement(e.to_string()));
    let entries = match placed {
        Ok(entries) => entries,
        Err(error) => {
            // SAFETY: no entry of this module has been handed out.
            unsafe { module.free_memory() };
            return Err(error);
        }
    };
    let bytes = compiled.iter().map(|function| function.bytes.len()).sum();
    let entry_of = places.iter().map(|&place| entries[place]).collect();
    let listing_of = places
        .iter()
        .map(|&place| compiled[place].listing.clone())
        .collect();
    let interpreted = compiled.into_iter().filter_map(|one| one.interpreted);
    let code = Code::new(module, entry_of, listing_of, bytes);
    Ok(Arc::new(code.keeping(interpreted.collect())))
}

#[allow(
    clippy::result_large_err,
    reason = "the error is the module's own type, and ends the compilation"
)]
fn place(
    module: &mut JITModule,
    compiled: &[Compiled],
) -> cranelift_module::ModuleResult<Vec<Entry>> {
    let signature = crate::emit::signature(module.isa());
    let mut functions = Vec::with_capacity(compiled.len());
    for function in compiled {
        let id = module.declare_anonymous_function(&signature)?;
        module.define_function_bytes(id, function.alignment, &function.bytes, &[])?;
        functions.push(id);
    }
    module.finalize_definitions()?;
    let entries = functions.into_iter().map(|id| {
        let address = module.get_finalized_function(id);
        // SAFETY: the address is that of a finalized function made by `emit`, whose signature is `Entry`'s: one
        // pointer in the C calling convention of the host, and no result.
        unsafe { std::mem::transmute::<*const u8, Entry>(address) }
    });
    Ok(entries.collect())
}

/// Compiles one kernel; a panic of the generator becomes an error.
fn guarded(kernel: &Kernel, target: &Target, options: &Options) -> Result<Compiled, JitError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| chosen(kernel, target, options)));
    attempt.unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
        Err(JitError::Generator {
            kernel: kernel.name.clone(),
            message: message.unwrap_or_else(|| "it panicked".into()),
        })
    })
}

/// By the emitter that the options ask for.
fn chosen(kernel: &Kernel, target: &Target, options: &Options) -> Result<Compiled, JitError> {
    if let Some(backend) = options.backend {
        if !Backend::available().contains(&backend) {
            return Err(JitError::Machine {
                missing: format!("{backend:?}"),
            });
        }
        return match backend.features() {
            Some(features) if backend.is_interpreted() => {
                interpreted_function(kernel, features, options)
            }
            Some(features) => wide_function(kernel, features, options),
            None => function(kernel, target, options),
        };
    }
    let wide = Backend::host().features();
    let wide = wide.and_then(|features| wide_function(kernel, features, options).ok());
    wide.map_or_else(|| function(kernel, target, options), Ok)
}

fn wide_function(
    kernel: &Kernel,
    features: wide::Features,
    options: &Options,
) -> Result<Compiled, JitError> {
    let (code, listing) = wide_code(kernel, features, options)?;
    Ok(Compiled {
        bytes: code.bytes,
        alignment: wide::ALIGNMENT,
        listing,
        interpreted: None,
    })
}

/// A call of the processor in software, which runs the code of the wide emitter.
fn interpreted_function(
    kernel: &Kernel,
    features: wide::Features,
    options: &Options,
) -> Result<Compiled, JitError> {
    let (code, listing) = wide_code(kernel, features, options)?;
    let interpreted = Interpreted::new(&code).map_err(|error| generator(kernel, &error))?;
    let interpreted = Arc::new(interpreted);
    Ok(Compiled {
        bytes: trampoline(&interpreted),
        alignment: wide::ALIGNMENT,
        listing,
        interpreted: Some(interpreted),
    })
}

fn wide_code(
    kernel: &Kernel,
    features: wide::Features,
    options: &Options,
) -> Result<(MachineCode, Option<Listing>), JitError> {
    let expanded = match features.pairs {
        true => expand_math(kernel),
        false => expand_pairs(kernel),
    };
    let code = wide::assemble(&expanded, features);
    let code = code.map_err(|error| generator(kernel, &error))?;
    let listing = options.listings.then(|| Listing {
        clif: String::new(),
        assembly: wide::disassemble(&code),
    });
    Ok((code, listing))
}

fn generator(kernel: &Kernel, error: &dyn std::error::Error) -> JitError {
    JitError::Generator {
        kernel: kernel.name.clone(),
        message: error.to_string(),
    }
}

fn function(kernel: &Kernel, target: &Target, options: &Options) -> Result<Compiled, JitError> {
    let effort = options
        .effort
        .unwrap_or_else(|| crate::emit::effort(kernel));
    let isa = target.isa(effort);
    let mut context = Context::new();
    let mut scratch = FunctionBuilderContext::new();
    let kernel = &expand_pairs(kernel);
    emit(kernel, &mut context.func, &mut scratch, isa.as_ref())?;
    context.set_disasm(options.listings);
    let clif = options.listings.then(|| context.func.display().to_string());
    let failed = |message: String| JitError::Generator {
        kernel: kernel.name.clone(),
        message,
    };
    let code = context
        .compile(isa.as_ref(), &mut ControlPlane::default())
        .map_err(|error| failed(format!("{:?}", error.inner)))?;
    if let Some(call) = code.buffer.relocs().first() {
        return Err(failed(format!("it would call {:?}", call.target)));
    }
    Ok(Compiled {
        bytes: code.code_buffer().to_vec(),
        alignment: u64::from(code.buffer.alignment),
        listing: clif.map(|clif| Listing {
            clif,
            assembly: code.vcode.clone().unwrap_or_default(),
        }),
        interpreted: None,
    })
}
