//! A training step of LeNet allocates nothing: a counting allocator over a thousand steps of the real program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use dlm_core::elaborate::program::SourceSpec;
use dlm_core::elaborate::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_core::elaborate::{DataCatalog, NoWorld, Settings, Source, World, train};
use dlm_core::graph::DType;
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use dlm_grammar::SourceMap;
use dlm_jit::{Backend, Options, link};
use dlm_runtime::memory::{Buffer, Memory, Scratch, arena_of};
use dlm_runtime::program::Executable;
use dlm_runtime::team::{Driver, StepMemory, Team};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Images of 28 x 28 in ten classes.
struct Images;

impl DataCatalog for Images {
    fn describe(&self, _: &SourceSpec) -> Result<SourceDescription, String> {
        let part = |dtype, shape: &[i64]| PartDescription {
            dtype,
            shape: shape.to_vec(),
            classes: Some(10),
        };
        let split = |name: &str| SplitDescription {
            name: name.into(),
            count: 640,
            class_counts: vec![64; 10],
            vocab: None,
        };
        Ok(SourceDescription {
            parts: vec![part(DType::F32, &[1, 28, 28]), part(DType::I32, &[])],
            splits: vec![split("train"), split("test")],
        })
    }
}

fn lenet() -> Executable {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/lenet.dlm");
    let text = std::fs::read_to_string(path).expect("the program is there");
    let (mut sources, settings) = (SourceMap::new(), Settings::default());
    let world = World {
        loader: &NoWorld,
        catalog: &Images,
        settings: &settings,
    };
    let elaborated = train(
        &mut sources,
        Source {
            name: "lenet.dlm",
            text: &text,
        },
        world,
        None,
    );
    let program = elaborated
        .value
        .unwrap_or_else(|| panic!("{:?}", elaborated.diagnostics));
    let graph = run_passes(&program.step, PASSES, |_, _| {}).expect("passes");
    let target = match Backend::host() {
        Backend::Cranelift => Target::vector128(),
        Backend::Avx2 | Backend::Avx2Interpreted => Target::avx2(),
        Backend::Avx512 | Backend::Avx512Interpreted => Target::avx512(),
        Backend::Avx512Bf16 | Backend::Avx512Bf16Interpreted => Target::avx512bf16(),
    };
    let plan = schedule(&graph, &target, 32, &PersistentLayout::of(&graph)).expect("a plan");
    link(&[&plan], &Options::default())
        .expect("machine code")
        .remove(0)
}

#[derive(Default)]
struct Watch {
    at_step: Vec<u64>,
}

impl Driver for Watch {
    fn before(&mut self, step: u64, _: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        if step == 10 || step == 1_010 {
            self.at_step.push(ALLOCATIONS.load(Ordering::Relaxed));
        }
        // A smaller last batch now and then is the harder case.
        ControlFlow::Continue(if step % 10 == 9 { 13 } else { 32 })
    }
}

#[test]
fn a_step_of_lenet_allocates_nothing() {
    let (team, program) = (Team::new(2).expect("two threads"), lenet());
    let mut persistent = Buffer::zeroed(program.persistent_bytes).expect("small");
    let mut arena = arena_of(&program).expect("small");
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut Scratch::default(),
    };
    let mut watch = Watch {
        at_step: Vec::with_capacity(2),
    };
    assert_eq!(
        team.run_steps(&program, memory, 1_020, &mut watch),
        Ok(1_020)
    );
    assert_eq!(watch.at_step.len(), 2);
    assert_eq!(
        watch.at_step[1] - watch.at_step[0],
        0,
        "allocations in 1,000 steps"
    );
}
