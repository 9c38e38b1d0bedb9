use super::*;
use crate::graph::{Dim, InputKind, OutputKind};
use crate::loops::{Access, BufferDecl, Element, Instruction, Kernel, Statement, Type, Value};
use crate::plan::{
    BufferId, Call, Commit, KernelId, Layout, Phase, PlanBuffer, Port, Repeat, ScalarArgument,
    Space, TaskGroup, Tasks,
};
use cranelift_entity::EntityRef;
use dlm_grammar::{FileId, Span};
use proptest::collection::vec;
use proptest::prelude::*;

/// One of everything.
const SAMPLE: &str = include_str!("sample.plan");

#[test]
fn prints_what_it_parsed() {
    let plan = parse_plan(SAMPLE).expect("parses");
    assert_eq!(plan.to_string(), SAMPLE);
    assert_eq!(
        (plan.buffers.len(), plan.kernels.len(), plan.phases.len()),
        (8, 3, 2)
    );
    assert_eq!(
        plan.phases[0].groups[1].tasks,
        Tasks::BatchRanges { chunk: 8 }
    );
}

#[test]
fn kernels_follow_where_asked_for() {
    let mut plan = parse_plan(SAMPLE).expect("parses");
    let kernel = &mut plan.kernels[KernelId::new(1)];
    let constant: Value = kernel.values.push(Type::Index);
    kernel
        .body
        .statements
        .push(Statement::Define(constant, Instruction::IndexConst(7)));
    let text = print_with_kernels(&plan);
    assert!(text.contains("= const 7"), "{text}");
    assert_eq!(parse_plan(&text).expect("parses"), plan);
    let without_last = &text[..text.rfind("\nkernel ").expect("three kernels")];
    let error = parse_plan(without_last)
        .expect_err("one is missing")
        .to_string();
    assert!(
        error.ends_with("2 kernels follow a plan that declares 3"),
        "{error}"
    );
    let renamed = text.replace("\nkernel \"relu\"", "\nkernel \"gelu\"");
    let error = parse_plan(&renamed)
        .expect_err("another kernel")
        .to_string();
    assert!(
        error.ends_with("kernel \"gelu\" is not what the plan declares as k1"),
        "{error}"
    );
    let broken = text.replace("const 7", "const ,");
    let line = 1 + broken
        .lines()
        .position(|line| line.contains("const ,"))
        .expect("is there");
    let error = parse_plan(&broken).expect_err("no number").to_string();
    assert!(error.starts_with(&format!("line {line}, ")), "{error}");
}

#[test]
fn errors_name_place_and_expectation() {
    let texts = [
        "",
        "plan x {",
        "plan \"a\" {",
        "plan \"a\" {\n  speed 3\n}",
        "plan \"a\" {\n  batch many\n}",
        "plan \"a\" {\n  batch 99999999999999999999\n}",
        "plan \"a\" {\n  buffer m1 \"x\": f32[B] plain in arena at 0, 4 bytes\n}",
        "plan \"a\" {\n  buffer m0 \"x\": f64[B] plain in arena at 0, 4 bytes\n}",
        "plan \"a\" {\n  buffer m0 \"x\": f32[C] plain in arena at 0, 4 bytes\n}",
        "plan \"a\" {\n  buffer m0 \"x\": f32[B] lanes(0)8 in arena at 0, 4 bytes\n}",
        "plan \"a\" {\n  buffer m0 \"x\": f32[B] plain in ram at 0, 4 bytes\n}",
        "plan \"a\" {\n  phase 1 { }\n}",
        "plan \"a\" {\n  phase 0 {\n    twice \"g\" { }\n  }\n}",
        "plan \"a\" {\n  phase 0 {\n    once \"g\" { call k0(m0 m1) }\n  }\n}",
        "plan \"a\" {\n  phase 0 {\n    once \"g\" { call k0(m0; lanes) }\n  }\n}",
        "plan \"a\" {\n  phase 0 {\n    once \"g\" { call k99999999(m0) }\n  }\n}",
        "plan \"a\" {\n  commit m0 m1\n}",
        "plan \"a\" {\n  decision \"ends nowhere\n}",
        "plan \"a\" { }\n?",
        "plan \"a\" { } plan \"b\" { }",
    ];
    let shown = texts.map(|text| format!("{text}\n  => {}\n", parse_plan(text).expect_err(text)));
    insta::assert_snapshot!(shown.join("\n"));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_.]{0,8}",
        "\\PC{0,6}",
        Just("a \"b\"\\ # {\n}\t\r".to_string())
    ]
}

fn dim() -> impl Strategy<Value = Dim> {
    prop_oneof![
        (0i64..100).prop_map(Dim::fixed),
        (-3i64..4, -3i64..4).prop_map(|(batch, fixed)| Dim { batch, fixed }),
        any::<(i64, i64)>().prop_map(|(batch, fixed)| Dim { batch, fixed }),
    ]
}

fn element() -> impl Strategy<Value = Element> {
    prop::sample::select(Element::ALL)
}

fn buffer() -> impl Strategy<Value = PlanBuffer> {
    let layout = prop_oneof![
        Just(Layout::Plain),
        Just(Layout::Partials),
        (1usize..17).prop_map(|width| Layout::Panels { width }),
        (0usize..4, 1usize..17).prop_map(|(axis, lanes)| Layout::Lanes { axis, lanes }),
    ];
    let space = prop::sample::select(vec![Space::Persistent, Space::Arena, Space::Scratch]);
    let sizes = (any::<usize>(), any::<usize>(), 0usize..3, 0usize..3);
    let row_of = prop::option::of((0usize..99).prop_map(BufferId::new));
    (
        name(),
        element(),
        vec(dim(), 0..4),
        layout,
        space,
        sizes,
        row_of,
        any::<bool>(),
    )
        .prop_map(
            |(name, element, shape, layout, space, sizes, row_of, cleared)| {
                let (offset, bytes, block_stride, task_stride) = sizes;
                PlanBuffer {
                    name,
                    element,
                    shape,
                    layout,
                    space,
                    offset,
                    bytes,
                    block_stride,
                    task_stride,
                    row_of,
                    cleared,
                }
            },
        )
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let access = prop::sample::select(Access::ALL);
    let decl = (name(), element(), access).prop_map(|(name, element, access)| BufferDecl {
        name,
        element,
        access,
    });
    let parts = (
        name(),
        vec(decl, 0..3),
        vec(name(), 0..3),
        vec(any::<i64>(), 0..3),
        vec(name(), 0..2),
    );
    (parts, any::<(u32, u32)>()).prop_map(
        |((name, buffers, scalars, constants, notes), (start, end))| {
            let mut kernel = Kernel {
                name,
                notes,
                ..Kernel::default()
            };
            kernel.spans.push(Span {
                file: FileId(0),
                start,
                end,
            });
            kernel.buffers = buffers.into_iter().collect();
            for scalar in scalars {
                let value = kernel.values.push(Type::Index);
                kernel.scalars.push((value, scalar));
            }
            for constant in constants {
                let value = kernel.values.push(Type::Index);
                let statement = Statement::Define(value, Instruction::IndexConst(constant));
                kernel.body.statements.push(statement);
            }
            kernel
        },
    )
}

fn group() -> impl Strategy<Value = TaskGroup> {
    let (n, m) = (any::<usize>(), any::<usize>());
    let tasks = prop_oneof![
        (n, m).prop_map(|(lanes, most)| Tasks::Blocks { lanes, most }),
        (any::<usize>(), 0usize..9).prop_map(|(extent, chunk)| Tasks::Ranges { extent, chunk }),
        (0usize..99).prop_map(|chunk| Tasks::BatchRanges { chunk }),
        Just(Tasks::Once),
    ];
    let scalar = prop_oneof![
        Just(ScalarArgument::Batch),
        Just(ScalarArgument::Block),
        Just(ScalarArgument::Follows),
        Just(ScalarArgument::ValidLanes),
        Just(ScalarArgument::RangeBegin),
        Just(ScalarArgument::RangeEnd),
        Just(ScalarArgument::Round),
        (0usize..9, 0usize..9).prop_map(|(lanes, most)| ScalarArgument::BlockTasks { lanes, most }),
    ];
    let ids = || vec((0usize..99).prop_map(BufferId::new), 0..4);
    let call = (0usize..9, ids(), vec(scalar, 0..4)).prop_map(|(kernel, buffers, scalars)| Call {
        kernel: KernelId::new(kernel),
        buffers,
        scalars,
    });
    let repeat = (0usize..2, 1usize..3, any::<usize>(), any::<bool>());
    (name(), tasks, ids(), vec(call, 0..5), vec(repeat, 0..2)).prop_map(
        |(name, tasks, zeroed, calls, repeats)| TaskGroup {
            name,
            tasks,
            zeroed,
            repeats: apart(&repeats, calls.len()),
            calls,
        },
    )
}

/// Loops of so many calls, each some calls after the last, as far as they go.
fn apart(repeats: &[(usize, usize, usize, bool)], calls: usize) -> Vec<Repeat> {
    let mut next = 0;
    let mut all = Vec::new();
    for &(gap, count, rounds, reverse) in repeats {
        let first = next + gap;
        next = first + count;
        if next <= calls {
            all.push(Repeat {
                first,
                count,
                rounds,
                reverse,
            });
        }
    }
    all
}

fn port<K: Clone + std::fmt::Debug + 'static>(kinds: Vec<K>) -> impl Strategy<Value = Port<K>> {
    (prop::sample::select(kinds), name(), 0usize..99).prop_map(|(kind, name, buffer)| Port {
        kind,
        name,
        buffer: BufferId::new(buffer),
    })
}

prop_compose! {
    fn plan()(
        (name, batch, exact) in (name(), any::<usize>(), any::<bool>()),
        buffers in vec(buffer(), 0..5),
        kernels in vec(kernel(), 0..4),
        phases in vec((any::<bool>(), vec(group(), 0..3)).prop_map(|(serial, groups)| Phase { serial, groups }), 0..3),
        inputs in vec(port(vec![InputKind::Parameter, InputKind::State, InputKind::Data, InputKind::Scalar]), 0..3),
        outputs in vec(port(vec![OutputKind::Parameter, OutputKind::State, OutputKind::Report, OutputKind::Result, OutputKind::Check]), 0..3),
        commits in vec((0usize..9, 0usize..9), 0..3),
        (persistent_bytes, arena_bytes, scratch_bytes) in any::<(usize, usize, usize)>(),
        decisions in vec(self::name(), 0..3),
    ) -> Plan {
        let commit = |(from, to)| Commit { from: BufferId::new(from), to: BufferId::new(to) };
        Plan {
            name: name.clone(),
            batch,
            exact,
            kernels: kernels.iter().cloned().collect(),
            buffers: buffers.iter().cloned().collect(),
            phases: phases.clone(),
            commits: commits.iter().copied().map(commit).collect(),
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            persistent_bytes,
            arena_bytes,
            scratch_bytes,
            decisions: decisions.clone(),
        }
    }
}

proptest! {
    #[test]
    fn any_plan_reads_back(plan in plan()) {
        let text = print_with_kernels(&plan);
        prop_assert_eq!(parse_plan(&text), Ok(plan), "{}", text);
    }

    #[test]
    fn no_text_breaks_the_parser(junk in "(plan|buffer|m0|k0|phase|once|[0-9]|[{}()\\[\\]:,;\"#. \n*+-]){0,40}") {
        let _ = parse_plan(&junk);
        let _ = parse_plan(&format!("plan \"a\" {{ {junk}"));
    }

    #[test]
    fn no_damage_breaks_the_parser(from in 0usize..3000, length in 1usize..30) {
        let kept = SAMPLE.chars().take(from).chain(SAMPLE.chars().skip(from + length));
        let _ = parse_plan(&kept.collect::<String>());
    }
}
