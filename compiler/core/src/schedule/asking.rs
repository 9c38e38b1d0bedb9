//! Which kernels ask for what their next tile reads.

use super::lower::Lowered;
use super::target::FIRST_CACHE;
use crate::loops::{Kernel, Memory, Range, Streams, ask_for_next_tile};
use crate::plan::{BufferId, Layout, PlanBuffer, ScalarArgument};
use cranelift_entity::PrimaryMap;

/// The kernel with what it asks for: of matrices that are far, and of copies in panels.
pub fn asking(
    lowered: &Lowered,
    buffers: &PrimaryMap<BufferId, PlanBuffer>,
    memory: Memory,
) -> Option<Kernel> {
    let far = |&id: &BufferId| buffers[id].bytes as i64 >= memory.far.min(memory.far_of_one_loop);
    let streams = cold_panels(lowered, buffers);
    let any = lowered.buffers.iter().any(far) || !streams.buffers.is_empty();
    any.then(|| ask_for_next_tile(&lowered.kernel, memory, &streams))?
}

/// Copies in panels that have left the first cache since they were made, in another phase. How many rows of the output a
/// call goes over is not known yet: at most all.
fn cold_panels(lowered: &Lowered, buffers: &PrimaryMap<BufferId, PlanBuffer>) -> Streams {
    let handles = lowered.kernel.buffers.keys().zip(&lowered.buffers);
    let cold = handles.filter(|(_, id)| {
        let buffer = &buffers[**id];
        matches!(buffer.layout, Layout::Panels { .. }) && buffer.bytes > FIRST_CACHE
    });
    let extent = lowered.range.and_then(|(extent, _)| extent.known());
    let known = |scalar: &ScalarArgument| match (scalar, extent) {
        (ScalarArgument::RangeBegin | ScalarArgument::RangeEnd, Some(extent)) => {
            Range::new(0, extent)
        }
        _ => Range::default(),
    };
    Streams {
        buffers: cold.map(|(handle, _)| handle).collect(),
        scalars: lowered.scalars.iter().map(known).collect(),
    }
}
