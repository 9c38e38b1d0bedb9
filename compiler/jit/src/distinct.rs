//! Equal kernels: those that differ in what is only for people.

use dlm_core::loops::{Buffer, Kernel};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// The kernels without repetitions, each as it first stands, and for each of `kernels` the place of its equal. Names,
/// notes and places in the source do not count.
pub fn distinct<'k>(kernels: &[&'k Kernel]) -> (Vec<&'k Kernel>, Vec<usize>) {
    let mut found: IndexMap<Kernel, &Kernel, FxBuildHasher> = IndexMap::default();
    let mut places = Vec::with_capacity(kernels.len());
    for &kernel in kernels {
        let entry = found.entry(nameless(kernel));
        places.push(entry.index());
        entry.or_insert(kernel);
    }
    (found.into_values().collect(), places)
}

/// The kernel without what is only for people.
fn nameless(kernel: &Kernel) -> Kernel {
    let mut plain = kernel.clone();
    plain.name.clear();
    plain.notes.clear();
    plain.spans.clear();
    for number in 0..plain.buffers.len() {
        plain.buffers[Buffer::from_u32(number as u32)].name.clear();
    }
    for scalar in &mut plain.scalars {
        scalar.1.clear();
    }
    plain
}
