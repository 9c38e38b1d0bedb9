//! Printing: one way for every operation.

use super::attributes::{Attribute, describe};
use crate::graph::{Graph, Node, NodeId, Op, OutputKind, Region};
use indexmap::IndexSet;
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} {{", self.name)?;
        content(f, self, "  ")?;
        f.write_str("}\n")
    }
}

/// Regions, nodes and outputs.
fn content(f: &mut fmt::Formatter<'_>, graph: &Graph, indent: &str) -> fmt::Result {
    let mut regions: IndexSet<&Region> = IndexSet::new();
    regions.extend(graph.nodes.values().filter_map(region));
    for (number, region) in regions.iter().enumerate() {
        writeln!(f, "{indent}region r{number} {{")?;
        content(f, region.graph(), &format!("{indent}  "))?;
        writeln!(f, "{indent}}}")?;
    }
    for (id, node) in graph.nodes.iter() {
        let region = region(node).and_then(|own| regions.get_index_of(own));
        f.write_str(indent)?;
        line(f, id, node, region)?;
    }
    for output in &graph.outputs {
        let (kind, name) = (kind(output.kind), &output.name);
        writeln!(f, "{indent}output {kind} {name:?} = {}", output.node)?;
    }
    Ok(())
}

fn region(node: &Node) -> Option<&Region> {
    match &node.op {
        Op::Scan(scan) => Some(&scan.body),
        _ => None,
    }
}

/// The word for a kind of output.
pub fn kind(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Parameter => "parameter",
        OutputKind::State => "state",
        OutputKind::Report => "report",
        OutputKind::Result => "result",
        OutputKind::Check => "check",
    }
}

fn line(f: &mut fmt::Formatter<'_>, id: NodeId, node: &Node, region: Option<usize>) -> fmt::Result {
    let (name, mut attributes) = describe(&node.op);
    if let Some(region) = region {
        attributes.insert("region".into(), Attribute::Word(format!("r{region}")));
    }
    write!(f, "{id} = {name}")?;
    for (number, input) in node.inputs.iter().enumerate() {
        write!(f, "{}{input}", if number == 0 { " " } else { ", " })?;
    }
    write!(f, " : {}", node.ty)?;
    if !attributes.is_empty() {
        f.write_str(" {")?;
        for (number, (key, value)) in attributes.iter().enumerate() {
            write!(f, "{}{key}={value}", if number == 0 { "" } else { ", " })?;
        }
        f.write_str("}")?;
    }
    f.write_str("\n")
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Word(word) => f.write_str(word),
            Attribute::Text(text) => write!(f, "{text:?}"),
            Attribute::List(list) => {
                f.write_str("[")?;
                for (number, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if number == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}
