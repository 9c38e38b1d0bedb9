use super::*;
use crate::graph::Graph;
use crate::schedule::assemble::group_name;
use crate::schedule::fuse::fuse;
use crate::schedule::lenet_test::bordered;
use crate::schedule::loops::loops;
use crate::schedule::order::{Program, Waiting, in_order};
use crate::schedule::units::{Work, units};
use crate::schedule::{Target, lanes::Lanes};

const BATCH: usize = 64;

/// A unit a line: its phase, what it is, and what it reads of what the step makes.
fn shown(graph: &Graph, program: Program<'_>, units: &[Unit]) -> String {
    let made: BTreeSet<NodeId> = units
        .iter()
        .flat_map(|unit| made_by(program.fusion, unit))
        .copied()
        .collect();
    let line = |unit: &Unit| {
        let name = match unit.work {
            Work::Group(number) | Work::Loop(number) => {
                group_name(graph, &program.fusion.groups[number])
            }
            Work::Partial(number) => group_name(graph, &program.fusion.groups[number]) + "_part",
            Work::Relayout(node) => format!("rows{}", node.as_u32()),
            Work::Turn(node) => format!("turned{}", node.as_u32()),
        };
        let again = if unit.again > 0 { ", again" } else { "" };
        let reads = unit.reads.iter().filter(|read| made.contains(*read));
        let reads = reads.map(|&read| format!("{read}{}", "'".repeat(unit.run_of(read))));
        let copies = unit.copies.iter();
        let copies = copies.map(|copied| format!("rows{}", copied.as_u32()));
        let reads: Vec<String> = reads.chain(copies).collect();
        format!("{} {name}{again} <- {}\n", unit.phase, reads.join(", "))
    };
    units.iter().map(line).collect()
}

#[test]
fn what_is_not_kept_runs_again() {
    let graph = bordered();
    let (lanes, target) = (Lanes::analyse(&graph), Target::vector128());
    let fusion = fuse(&graph, &lanes, &target, &BTreeSet::new());
    let loops = loops(&graph, &lanes, &fusion, &target);
    let earliest = units(&graph, &lanes, &fusion, &loops, (&target, 8), BATCH);
    let program = Program {
        graph: &graph,
        lanes: &lanes,
        fusion: &fusion,
        batch: BATCH,
    };
    let before = in_order(program, &earliest, Waiting::Savers);
    let facts = Facts::new(program, &before, BATCH / 8);
    let limit = |bytes| {
        Keeping::Limit(Limit {
            bytes,
            workers: 2,
            only_maps: false,
        })
    };
    let whole = recompute(&facts, limit(i64::MAX)).expect("no limit");
    assert_eq!(
        shown(&graph, program, &whole.units),
        shown(&graph, program, &before)
    );
    let after = recompute(&facts, limit(whole.peak / 4 * 3)).expect("little work");
    let segments = Forward::new(&facts, whole.turn).cut(2, 2);
    let cut = recompute(&facts, Keeping::Segments(&segments)).expect("little work");
    assert!(after.cost > 0 && cut.cost > 0);
    insta::assert_snapshot!(format!(
        "{}\nwith three quarters of {} bytes:\n\n{}\nin two segments:\n\n{}",
        shown(&graph, program, &before),
        whole.peak,
        shown(&graph, program, &after.units),
        shown(&graph, program, &cut.units),
    ));
}
