//! Products in bf16: `precision="bf16"` of a `train`.
//!
//! ```text
//! y = contract(x, w)      becomes      y = f32(contract(bf16(x), bf16(w)))
//! ```
//!
//! Operands are rounded, sums are of f32, and the result is rounded once. It stands before `autodiff`, so that the two
//! gradients of a product are products in bf16 too, while parameters, their updates and everything elementwise stay f32
//! (PyTorch's `autocast`).

use super::rewrite::Rewrite;
use crate::graph::{DType, Graph, NodeId, Op, TypeError};
use smallvec::SmallVec;

/// The pass.
///
/// # Errors
/// Where the graph does not type.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let is_product = matches!(&node.op, Op::Contract(own) if own.operands.len() > 1);
        if !is_product || node.ty.dtype != DType::F32 {
            rewrite.copy(id)?;
            continue;
        }
        let inputs = rewrite.inputs(id)?;
        let new = &mut rewrite.new;
        let rounded: SmallVec<[NodeId; 3]> = inputs
            .iter()
            .map(|&input| new.add(Op::Cast(DType::Bf16), &[input], node.span))
            .collect::<Result<_, _>>()?;
        let product = new.add(node.op.clone(), &rounded, node.span)?;
        let wide = new.add(Op::Cast(DType::F32), &[product], node.span)?;
        rewrite.set(id, wide);
    }
    rewrite.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text::parse;

    fn check(text: &str) -> String {
        let graph = parse(text).expect("a graph");
        format!("{text}\n{}", run(&graph).expect("rewrites"))
    }

    #[test]
    fn operands_and_results_are_rounded() {
        let text = "graph a {
  %0 = input : f32[B, 3] {kind=data, name=\"x\"}
  %1 = input : f32[2, 3] {kind=parameter, name=\"w\"}
  %2 = contract %0, %1 : f32[B, 2] {index=[\"v0, v2\", \"v1, v2\"], reduced=[3]}
  output result \"out\" = %2
}
";
        insta::assert_snapshot!(check(text));
    }
}
