//! Whether an operation reads positions outside its operands.

use super::affine::Affine;
use super::position::{IndexSpace, Indexed, Position, index};
use super::symbols::Symbols;
use crate::graph::{Contraction, Graph, NodeId, Op};

/// For each operand and axis of a contraction, whether some position is invalid; axes of run-time extent are
/// addressed by a variable of that extent and always valid.
pub fn borders(graph: &Graph, id: NodeId, contraction: &Contraction) -> Vec<Vec<bool>> {
    let mut symbols = Symbols::default();
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    let positions: Vec<Position<u32>> = extents
        .map(|dim| Position::At(Affine::variable(symbols.add(dim.known()))))
        .collect();
    let inputs = &graph.nodes[id].inputs;
    let operands = contraction.operands.iter().zip(inputs);
    operands
        .map(|(axes, &input)| {
            let shape = &graph.nodes[input].ty.shape;
            axes.iter()
                .zip(shape)
                .map(|(axis, dim)| match index(axis, &positions) {
                    Indexed::At {
                        numerator,
                        divisor: 1,
                    } => {
                        let bounds = numerator.bounds(&|symbol| symbols.range(symbol));
                        match (bounds, dim.known()) {
                            (Some((low, high)), Some(extent)) => low < 0 || high >= extent,
                            _ => axis.as_variable().is_none(),
                        }
                    }
                    _ => true,
                })
                .collect()
        })
        .collect()
}

/// Whether a contraction reads outside its operands anywhere.
pub fn has_borders(graph: &Graph, id: NodeId) -> bool {
    match &graph.nodes[id].op {
        Op::Contract(contraction) => borders(graph, id, contraction)
            .iter()
            .flatten()
            .any(|&border| border),
        _ => false,
    }
}
