//! Printing: one way for every operation.

use super::attributes::{Attribute, describe};
use crate::graph::{Graph, Node, NodeId, OutputKind};
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} {{", self.name)?;
        for (id, node) in self.nodes.iter() {
            line(f, id, node)?;
        }
        for output in &self.outputs {
            writeln!(
                f,
                "  output {} {:?} = {}",
                kind(output.kind),
                output.name,
                output.node
            )?;
        }
        f.write_str("}\n")
    }
}

/// The word for a kind of output.
pub fn kind(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Parameter => "parameter",
        OutputKind::State => "state",
        OutputKind::Report => "report",
        OutputKind::Result => "result",
    }
}

fn line(f: &mut fmt::Formatter<'_>, id: NodeId, node: &Node) -> fmt::Result {
    let (name, attributes) = describe(&node.op);
    write!(f, "  {id} = {name}")?;
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
