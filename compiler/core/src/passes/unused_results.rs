//! Scans without the results that nothing reads: carries, stacks and inputs that are of no use go.
//!
//! ```text
//! before:  h, c, hs, cs = scan …     (only hs is read, c does not reach it)
//! after:   hs = scan …               (c is no longer carried, its initial value no input)
//! ```

use super::rewrite::Rewrite;
use crate::graph::scan::{Role, arguments};
use crate::graph::{Graph, NodeId, Op, OutputKind, Region, Scan, TypeError};
use std::collections::{BTreeMap, BTreeSet};

/// Rebuilds the graph's live nodes and its inputs, with scans cut down to what is read.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let live = graph.live_nodes();
    let mut cuts: BTreeMap<NodeId, Cut> = BTreeMap::new();
    for (first, scan) in graph.scans() {
        let inputs = graph.nodes[first].inputs.len();
        let results = graph.results_of(first).into_iter();
        let used: Vec<(usize, NodeId)> = results.filter(|&(_, id)| live.contains(id)).collect();
        if used.is_empty() {
            continue;
        }
        let cut = Cut::new(scan, inputs, used.iter().map(|result| result.0).collect())?;
        for &(_, id) in &used {
            cuts.insert(id, cut.clone());
        }
    }
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        if !live.contains(id) && !matches!(node.op, Op::Input { .. }) {
            continue;
        }
        let (Some(cut), Op::Scan(scan)) = (cuts.get(&id), &node.op) else {
            rewrite.copy(id)?;
            continue;
        };
        let inputs = rewrite.inputs(id)?;
        let inputs: Vec<NodeId> = cut.inputs.iter().map(|&input| inputs[input]).collect();
        let op = Op::Scan(cut.scan.with_result(cut.results[&scan.result]));
        let new = rewrite.new.add(op, &inputs, node.span)?;
        rewrite.set(id, new);
    }
    rewrite.finish()
}

/// A smaller scan.
#[derive(Clone)]
struct Cut {
    scan: Scan,
    /// Which inputs are left.
    inputs: Vec<usize>,
    /// The new number of each result that is left.
    results: BTreeMap<usize, usize>,
}

impl Cut {
    fn new(scan: &Scan, inputs: usize, mut used: BTreeSet<usize>) -> Result<Cut, TypeError> {
        let body = scan.body.graph();
        let mut kept = body.clone();
        let live = loop {
            kept.outputs = used
                .iter()
                .map(|&number| body.outputs[number].clone())
                .collect();
            let live = kept.live_nodes();
            let carries = arguments(body).filter(|(_, id)| live.contains(*id));
            let carries = carries.filter_map(|(number, _)| match scan.role(number, inputs) {
                Role::Carry(carry) => Some(carry),
                _ => None,
            });
            let before = used.len();
            used.extend(carries);
            if used.len() == before {
                break live;
            }
        };
        let read: BTreeSet<usize> = arguments(body)
            .filter(|(_, id)| live.contains(*id))
            .map(|(number, _)| number)
            .collect();
        let stays = |number: &usize| match scan.role(*number, inputs) {
            Role::Carry(carry) => used.contains(&carry),
            _ => read.contains(number),
        };
        let left: Vec<usize> = (0..inputs).filter(stays).collect();
        let count = |wanted: fn(Role) -> bool| {
            let roles = left.iter().map(|&number| scan.role(number, inputs));
            roles.filter(|&role| wanted(role)).count()
        };
        let mut results = BTreeMap::new();
        let mut outputs: Vec<NodeId> = Vec::new();
        let carries = count(|role| matches!(role, Role::Carry(_)));
        for &number in &used {
            let node = body.outputs[number].node;
            // Equal parts are one stack.
            let known = outputs
                .iter()
                .skip(carries)
                .position(|&other| other == node);
            let known = known.filter(|_| number >= scan.carries);
            results.insert(number, known.map_or(outputs.len(), |known| carries + known));
            if known.is_none() {
                outputs.push(node);
            }
        }
        let renumber = |number: usize| {
            let place = left.iter().position(|&input| input == number);
            place.unwrap_or(left.len())
        };
        Ok(Cut {
            scan: Scan {
                body: Region::new(rebuilt(body, &live, &outputs, renumber)?),
                captures: count(|role| role == Role::Capture),
                carries,
                result: 0,
                ..*scan
            },
            inputs: left,
            results,
        })
    }
}

/// The live nodes of a body, arguments renumbered, with other outputs.
fn rebuilt(
    body: &Graph,
    live: &cranelift_entity::EntitySet<NodeId>,
    outputs: &[NodeId],
    renumber: impl Fn(usize) -> usize,
) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(body);
    for (id, node) in body.nodes.iter().filter(|(id, _)| live.contains(*id)) {
        match &node.op {
            Op::Argument { number, ty } => {
                let new = rewrite
                    .new
                    .argument(renumber(*number), ty.clone(), node.span)?;
                rewrite.set(id, new);
            }
            _ => {
                rewrite.copy(id)?;
            }
        }
    }
    let lost = || TypeError("an output of a body is lost".into());
    let nodes: Option<Vec<NodeId>> = outputs.iter().map(|&node| rewrite.get(node)).collect();
    let mut new = rewrite.new;
    for (number, node) in nodes.ok_or_else(lost)?.into_iter().enumerate() {
        new.output(OutputKind::Result, number.to_string(), node);
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use crate::graph::text::parse;
    use crate::passes::run_named;

    #[test]
    fn what_no_result_needs_is_not_carried() {
        let text = r#"graph g {
  region r0 {
    %0 = argument : f32[B] {number=0}
    %1 = argument : f32[B] {number=1}
    %2 = argument : f32[B] {number=2}
    %3 = argument : f32[B] {number=3}
    %4 = mul %1, %3 : f32[B]
    %5 = add %2, %0 : f32[B]
    %6 = exp %5 : f32[B]
    output result "0" = %4
    output result "1" = %5
    output result "2" = %4
    output result "3" = %6
    output result "4" = %4
  }
  %0 = input : f32[B] {kind=data, name="x"}
  %1 = input : f32[5, B] {kind=data, name="xs"}
  %2 = scan %0, %0, %0, %1 : f32[5, B] {captures=1, carries=2, region=r0, result=2, reverse=true, rounds=5}
  %3 = scan %0, %0, %0, %1 : f32[5, B] {captures=1, carries=2, region=r0, result=4, reverse=true, rounds=5}
  output result "a" = %2
  output result "b" = %3
}
"#;
        let before = parse(text).unwrap();
        let after = run_named(&before, &["dead-code"]).unwrap();
        insta::assert_snapshot!(format!("{before}{after}"));
        assert_eq!(
            parse(&after.to_string()).unwrap().to_string(),
            after.to_string()
        );
    }
}
