//! What the scheduler need not know: contractions of more than two operands, and cuts that have done their work.
//!
//! A contraction of more operands becomes a chain of two: the first two are multiplied over all the variables that they
//! name, and what nothing else names is summed at once. `stop_gradient` is the identity once no gradient is left.

use super::rewrite::Rewrite;
use crate::graph::{AxisIndex, Builder, Contraction, Dim, Graph, NodeId, Op, TypeError};
use std::collections::BTreeSet;

/// The pass.
///
/// # Errors
/// Where a part does not type, which is a fault of the pass.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    let expanded = graph.nodes.values().all(|node| node.op != Op::Gradient);
    for (id, node) in graph.nodes.iter() {
        if node.op == Op::StopGradient && expanded {
            let same = rewrite.inputs(id)?[0];
            rewrite.set(id, same);
            continue;
        }
        let Op::Contract(contraction) = &node.op else {
            rewrite.copy(id)?;
            continue;
        };
        let operands = rewrite.inputs(id)?;
        let mut builder = Builder {
            graph: &mut rewrite.new,
            span: node.span,
        };
        let new = pairwise(&mut builder, contraction.clone(), operands.to_vec())?;
        rewrite.set(id, new);
    }
    rewrite.finish()
}

fn pairwise(
    builder: &mut Builder<'_>,
    mut contraction: Contraction,
    mut operands: Vec<NodeId>,
) -> Result<NodeId, TypeError> {
    while operands.len() > 2 {
        let rank = contraction.shape.len();
        let named = variables(&contraction.operands[..2]);
        let needed = variables(&contraction.operands[2..]);
        let (kept, summed): (Vec<usize>, Vec<usize>) = named
            .into_iter()
            .partition(|variable| *variable < rank || needed.contains(variable));
        let first = product_of_two(builder, &contraction, &operands, &kept, &summed)?;
        contraction.operands.splice(
            ..2,
            [kept
                .iter()
                .map(|&variable| AxisIndex::variable(variable))
                .collect()],
        );
        operands.splice(..2, [first]);
        drop_variables(&mut contraction, &summed);
    }
    builder.add(Op::Contract(contraction), &operands)
}

fn variables(operands: &[Vec<AxisIndex>]) -> BTreeSet<usize> {
    operands
        .iter()
        .flatten()
        .flat_map(|index| index.terms.iter().map(|term| term.0))
        .collect()
}

/// The product of the first two operands as a tensor over the kept variables, summed over the others.
fn product_of_two(
    builder: &mut Builder<'_>,
    contraction: &Contraction,
    operands: &[NodeId],
    kept: &[usize],
    summed: &[usize],
) -> Result<NodeId, TypeError> {
    let extent = |&variable: &usize| -> Dim {
        let rank = contraction.shape.len();
        if variable < rank {
            contraction.shape[variable]
        } else {
            contraction.reduced[variable - rank]
        }
    };
    let place = |variable: usize| {
        kept.iter()
            .chain(summed)
            .position(|&own| own == variable)
            .unwrap_or(0)
    };
    let rename =
        |index: &AxisIndex| index.substitute(|variable| AxisIndex::variable(place(variable)));
    let pair = Contraction {
        shape: kept.iter().map(extent).collect(),
        reduced: summed.iter().map(extent).collect(),
        operands: contraction.operands[..2]
            .iter()
            .map(|axes| axes.iter().map(rename).collect())
            .collect(),
    };
    builder.add(Op::Contract(pair), &operands[..2])
}

/// Takes reduced variables that no operand names any more out of a contraction.
fn drop_variables(contraction: &mut Contraction, dropped: &[usize]) {
    let rank = contraction.shape.len();
    let lower =
        |variable: usize| variable - dropped.iter().filter(|&&gone| gone < variable).count();
    for index in contraction.operands.iter_mut().flatten() {
        *index = index.substitute(|variable| AxisIndex::variable(lower(variable)));
    }
    let mut variable = rank;
    contraction.reduced.retain(|_| {
        variable += 1;
        !dropped.contains(&(variable - 1))
    });
}

#[cfg(test)]
mod tests {
    use crate::graph::eval::{Tensor, evaluate};
    use crate::graph::text::parse;
    use crate::passes::run_named;

    #[test]
    fn three_operands_are_two_times_two() {
        let text = r#"graph chain {
  %0 = input : f32[3, 4] {kind=data, name="a"}
  %1 = input : f32[4, 5] {kind=data, name="b"}
  %2 = input : f32[5, B] {kind=data, name="c"}
  %3 = contract %0, %1, %2 : f32[3, B] {index=["v0, v2", "v2, v3", "v3, v1"], reduced=[4, 5]}
  output result "out" = %3
}
"#;
        let before = parse(text).unwrap();
        let after = run_named(&before, &["decompose"]).unwrap();
        insta::assert_snapshot!(format!("{before}{after}"));
        let inputs = [("a", [3, 4]), ("b", [4, 5]), ("c", [5, 2])].map(|(name, shape)| {
            (
                name.to_string(),
                Tensor::from_fn(&shape, |index| {
                    (index[0] * 7 + index[1] * 3 % 5) as f64 - 4.0
                }),
            )
        });
        let inputs = inputs.into_iter().collect();
        assert_eq!(
            evaluate(&before, 2, &inputs).unwrap(),
            evaluate(&after, 2, &inputs).unwrap()
        );
    }

    #[test]
    fn cuts_go_when_no_gradient_is_left() {
        let text = r#"graph cut {
  %0 = input : f32 {kind=data, name="x"}
  %1 = stop_gradient %0 : f32
  %2 = exp %1 : f32
  output result "y" = %2
}
"#;
        let after = run_named(&parse(text).unwrap(), &["decompose"])
            .unwrap()
            .to_string();
        assert!(
            after.contains("%1 = exp %0") && !after.contains("stop_gradient"),
            "{after}"
        );
        let with_gradient = text.replace("  output", "  %3 = gradient %2, %0 : f32\n  output");
        let after = run_named(&parse(&with_gradient).unwrap(), &["decompose"])
            .unwrap()
            .to_string();
        assert!(after.contains("stop_gradient"), "{after}");
    }
}
