//! A graph for one batch size.

use super::primitives;
use super::rewrite::Rewrite;
use crate::graph::{Dim, Graph, Op, Region, Scalar, Scan, TensorType, TypeError};

/// The same graph for batches of `batch` samples alone: no extent depends on the batch. Joins along it and scatters into a
/// row for each sample, whose sizes are then known, are said by operations that kernels are made for.
///
/// # Errors
/// Where an operation does not type with that size.
pub fn of_batch(graph: &Graph, batch: i64) -> Result<Graph, TypeError> {
    primitives::run(&with_size(graph, batch)?)
}

fn with_size(graph: &Graph, batch: i64) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let inputs = rewrite.inputs(id)?;
        let op = sized(&node.op, batch)?;
        let new = rewrite.new.add(op, &inputs, node.span)?;
        rewrite.set(id, new);
    }
    rewrite.finish()
}

fn sized(op: &Op, batch: i64) -> Result<Op, TypeError> {
    let dim = |dim: &Dim| Dim::fixed(dim.at(batch));
    let shape = |shape: &[Dim]| shape.iter().map(dim).collect::<Vec<Dim>>();
    let ty = |ty: &TensorType| TensorType::new(ty.dtype, shape(&ty.shape));
    let mut sized = op.clone();
    match &mut sized {
        Op::Input { ty: own, .. } | Op::Argument { ty: own, .. } => *own = ty(own),
        Op::Iota { shape: own, .. }
        | Op::Reshape { shape: own }
        | Op::Random { shape: own, .. } => *own = shape(own),
        Op::BatchSize => return Ok(Op::Constant(Scalar::F32(batch as f32))),
        Op::View(view) => view.shape = shape(&view.shape),
        Op::Contract(contraction) => {
            contraction.shape = shape(&contraction.shape);
            contraction.reduced = shape(&contraction.reduced);
        }
        Op::ScatterAdd { rows } => *rows = dim(rows),
        Op::Scan(scan) => {
            return Ok(Op::Scan(Scan {
                body: Region::new(of_batch(scan.body.graph(), batch)?),
                ..scan.clone()
            }));
        }
        Op::Constant(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Select
        | Op::Cast(_)
        | Op::Reduce { .. }
        | Op::Concat { .. }
        | Op::Gather
        | Op::CumulativeSum { .. }
        | Op::StopGradient
        | Op::Gradient => {}
    }
    Ok(sized)
}
