//! Scans over the same inputs that carry the same become one with the results of both.
//!
//! Differentiation asks a scan for more results than the program does: the forward scan and the one with residuals
//! differ in their outputs alone.
//!
//! ```text
//! before:  hs = scan x {region=r0, …}      gates = scan x {region=r1, …}
//! after:   hs, gates = scan x {region=r0, …}
//! ```

use super::rewrite::Rewrite;
use crate::graph::{Graph, NodeId, Op, OutputKind, Region, Scan, TypeError};
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// A scan without its body, and its inputs.
type Signature = (Scan, SmallVec<[NodeId; 3]>);

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut alike: IndexMap<Signature, Vec<(NodeId, &Scan)>> = IndexMap::new();
    for (id, scan) in graph.scans() {
        let signature = Scan {
            body: Region::new(Graph::default()),
            result: 0,
            ..scan.clone()
        };
        let key = (signature, graph.nodes[id].inputs.clone());
        alike.entry(key).or_default().push((id, scan));
    }
    let mut merged: BTreeMap<NodeId, Op> = BTreeMap::new();
    for scans in alike.values().filter(|scans| scans.len() > 1) {
        let mut union = Union::new(scans[0].1)?;
        let mut places = Vec::new();
        for &(first, scan) in scans {
            if let Some(numbers) = union.add(scan)? {
                places.push((first, numbers));
            }
        }
        let scan = Scan {
            body: Region::new(union.body),
            ..scans[0].1.clone()
        };
        for (first, numbers) in places {
            for (result, id) in graph.results_of(first) {
                merged.insert(id, Op::Scan(scan.with_result(numbers[result])));
            }
        }
    }
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let inputs = rewrite.inputs(id)?;
        let op = merged.get(&id).unwrap_or(&node.op).clone();
        let new = rewrite.new.add(op, &inputs, node.span)?;
        rewrite.set(id, new);
    }
    rewrite.finish()
}

/// The body of a merged scan.
struct Union {
    body: Graph,
    carries: usize,
}

impl Union {
    fn new(scan: &Scan) -> Result<Union, TypeError> {
        let mut rewrite = Rewrite::new(scan.body.graph());
        for id in scan.body.graph().nodes.keys() {
            rewrite.copy(id)?;
        }
        Ok(Union {
            body: rewrite.finish()?,
            carries: scan.carries,
        })
    }

    /// The numbers of a scan's results in the merged one; nothing where its carries go on otherwise.
    fn add(&mut self, scan: &Scan) -> Result<Option<Vec<usize>>, TypeError> {
        let other = scan.body.graph();
        let mut rewrite = Rewrite::new(other);
        rewrite.new = std::mem::take(&mut self.body);
        for id in other.nodes.keys() {
            rewrite.copy(id)?;
        }
        let nodes = other.outputs.iter().map(|output| rewrite.get(output.node));
        let nodes: Option<Vec<NodeId>> = nodes.collect();
        self.body = rewrite.new;
        let nodes = nodes.ok_or_else(|| TypeError("an output of a body is lost".into()))?;
        let known: Vec<NodeId> = self.body.outputs.iter().map(|output| output.node).collect();
        if nodes[..self.carries] != known[..self.carries] {
            return Ok(None);
        }
        let mut numbers: Vec<usize> = (0..self.carries).collect();
        for &node in &nodes[self.carries..] {
            let outputs = self.body.outputs.iter().skip(self.carries);
            let place = outputs
                .map(|output| output.node)
                .position(|other| other == node);
            numbers.push(place.map_or(self.body.outputs.len(), |place| self.carries + place));
            if place.is_none() {
                let name = self.body.outputs.len().to_string();
                self.body.output(OutputKind::Result, name, node);
            }
        }
        Ok(Some(numbers))
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::text::parse;
    use crate::passes::run_named;

    #[test]
    fn scans_that_carry_the_same_are_one() {
        let text = r#"graph g {
  region r0 {
    %0 = argument : f32[B] {number=0}
    %1 = argument : f32[B] {number=1}
    %2 = mul %0, %1 : f32[B]
    %3 = exp %2 : f32[B]
    output result "0" = %3
    output result "1" = %3
  }
  region r1 {
    %0 = argument : f32[B] {number=0}
    %1 = argument : f32[B] {number=1}
    %2 = mul %0, %1 : f32[B]
    %3 = exp %2 : f32[B]
    output result "0" = %3
    output result "1" = %2
    output result "2" = %3
  }
  region r2 {
    %0 = argument : f32[B] {number=0}
    %1 = argument : f32[B] {number=1}
    %2 = mul %0, %1 : f32[B]
    output result "0" = %2
    output result "1" = %2
  }
  %0 = input : f32[B] {kind=data, name="x"}
  %1 = input : f32[5, B] {kind=data, name="xs"}
  %2 = scan %0, %1 : f32[5, B] {captures=0, carries=1, region=r0, result=1, reverse=false, rounds=5}
  %3 = scan %0, %1 : f32[5, B] {captures=0, carries=1, region=r1, result=1, reverse=false, rounds=5}
  %4 = scan %0, %1 : f32[5, B] {captures=0, carries=1, region=r1, result=2, reverse=false, rounds=5}
  %5 = scan %0, %1 : f32[5, B] {captures=0, carries=1, region=r2, result=1, reverse=false, rounds=5}
  output result "a" = %2
  output result "b" = %3
  output result "c" = %4
  output result "d" = %5
}
"#;
        let before = parse(text).unwrap();
        let after = run_named(&before, &["merge-scans"]).unwrap();
        insta::assert_snapshot!(format!("{before}{after}"));
    }
}
