//! Copies at the end of a step: one kernel for each size of elements, called with the number of elements.

use dlm_core::loops::{Access, Affine, Element, Kernel, KernelBuilder, LoopKind, Range};
use dlm_core::plan::{BufferId, Plan, Space};
use dlm_runtime::program::{Arg, Call, Group, KernelIndex, Phase, ScalarArg, Tasks};

/// How many kernels [`kernels`] gives.
pub(super) const COUNT: usize = 3;

const LANES: i64 = 16;

/// The copies of elements of four bytes, one and two.
pub(super) fn kernels() -> Vec<Kernel> {
    [Element::I32, Element::U8, Element::Bf16].map(copy).into()
}

/// The kernel that copies elements of that type.
fn kernel_of(element: Element) -> KernelIndex {
    match element {
        Element::F32 | Element::I32 => KernelIndex(0),
        Element::U8 | Element::Bool => KernelIndex(1),
        Element::Bf16 => KernelIndex(2),
    }
}

fn copy(element: Element) -> Kernel {
    let mut b = KernelBuilder::new("commit");
    let from = b.buffer("from", element, Access::Read);
    let to = b.buffer("to", element, Access::Write);
    let count = b.scalar_in("count", Range::at_least(0));
    let whole = b.div_floor(&Affine::value(count), LANES).scale(LANES);
    let (zero, whole) = (b.index(0), b.materialise(&whole));
    for (begin, end, lanes) in [(zero, whole, LANES), (whole, count, 1)] {
        b.for_loop(
            LoopKind::Domain,
            "element",
            (begin, end, lanes),
            &[],
            |b, at, _| {
                let value = b.load(from, at, lanes as u8);
                b.store_at(to, at, value);
                vec![]
            },
        );
    }
    // The builder only refuses operands of wrong types, of which there are none above.
    b.finish().unwrap_or_default()
}

/// The phase that does a plan's commits, if it has any.
pub(super) fn phase(plan: &Plan) -> Option<Phase> {
    if plan.commits.is_empty() {
        return None;
    }
    let calls = plan.commits.iter().map(|commit| {
        let buffer = &plan.buffers[commit.to];
        let count = buffer.elements(plan.batch).unwrap_or(0) as i64;
        Call {
            kernel: kernel_of(buffer.element),
            args: vec![
                whole(plan, commit.from),
                whole(plan, commit.to),
                Arg::Scalar(ScalarArg::Const(count)),
            ],
        }
    });
    let group = Group {
        name: "commit".into(),
        tasks: Tasks::Once,
        prologue: Vec::new(),
        calls: calls.collect(),
        loops: Vec::new(),
    };
    Some(Phase {
        serial: false,
        groups: vec![group],
    })
}

fn whole(plan: &Plan, buffer: BufferId) -> Arg {
    let buffer = &plan.buffers[buffer];
    debug_assert_ne!(
        buffer.space,
        Space::Scratch,
        "scratch does not outlive its block"
    );
    Arg::Pointer {
        space: super::space(buffer.space),
        offset_bytes: buffer.offset as u64,
        task_stride_bytes: 0,
        block_stride_bytes: 0,
    }
}
