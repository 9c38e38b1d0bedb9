//! Products that no carry reaches, taken out of loops: one product for all rounds.
//!
//! ```text
//! before:  for t: h = tanh(x[t] @ w + h @ u)
//! after:   xw = x @ w;  for t: h = tanh(xw[t] + h @ u)
//! ```

use super::rewrite::Rewrite;
use crate::graph::scan::{Role, stacked_type};
use crate::graph::{
    AxisIndex, Contraction, Dim, Graph, NodeId, Op, Region, Scalar, Scan, TypeError, View,
};
use cranelift_entity::{EntitySet, SecondaryMap};
use dlm_grammar::Span;
use std::collections::BTreeMap;

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut first_of: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (first, scan) in graph.scans() {
        if !products(scan, graph.nodes[first].inputs.len()).is_empty() {
            let results = graph.results_of(first);
            first_of.extend(results.into_iter().map(|(_, id)| (id, first)));
        }
    }
    let mut lighter: BTreeMap<NodeId, (Scan, Vec<NodeId>)> = BTreeMap::new();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let (Some(first), Op::Scan(scan)) = (first_of.get(&id), &node.op) else {
            rewrite.copy(id)?;
            continue;
        };
        if !lighter.contains_key(first) {
            let inputs = rewrite.inputs(id)?;
            let hoisted = hoist(&mut rewrite.new, scan, &inputs, node.span)?;
            lighter.insert(*first, hoisted);
        }
        let (light, inputs) = &lighter[first];
        let op = Op::Scan(light.with_result(scan.result));
        let new = rewrite.new.add(op, inputs, node.span)?;
        rewrite.set(id, new);
    }
    rewrite.finish()
}

/// The products of a body that can be taken out: no carry reaches them, and all they are made of exists for all
/// rounds at once.
fn products(scan: &Scan, inputs: usize) -> Vec<NodeId> {
    let body = scan.body.graph();
    let mut free: EntitySet<NodeId> = EntitySet::new();
    let mut moves: EntitySet<NodeId> = EntitySet::new();
    for (id, node) in body.nodes.iter() {
        let known = match &node.op {
            Op::Argument { number, .. } => {
                let role = scan.role(*number, inputs);
                if role == Role::Row {
                    moves.insert(id);
                }
                matches!(role, Role::Capture | Role::Row)
            }
            Op::Constant(_) | Op::Iota { .. } | Op::BatchSize => true,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::View(_) => true,
            Op::Contract(_) | Op::Reshape { .. } => true,
            _ => false,
        };
        if known && node.inputs.iter().all(|&input| free.contains(input)) {
            free.insert(id);
            if node.inputs.iter().any(|&input| moves.contains(input)) {
                moves.insert(id);
            }
        }
    }
    let product = |id: &NodeId| {
        let op = &body.nodes[*id].op;
        let product = matches!(op, Op::Contract(contraction) if contraction.operands.len() > 1);
        product && free.contains(*id) && moves.contains(*id)
    };
    body.nodes.keys().filter(product).collect()
}

/// The scan without its free products, and its inputs with their stacks at the end.
fn hoist(
    graph: &mut Graph,
    scan: &Scan,
    inputs: &[NodeId],
    span: Span,
) -> Result<(Scan, Vec<NodeId>), TypeError> {
    let body = scan.body.graph();
    let products = products(scan, inputs.len());
    let mut all = AllRounds {
        graph,
        scan,
        inputs,
        known: SecondaryMap::new(),
    };
    let mut longer = inputs.to_vec();
    let mut rows: BTreeMap<NodeId, usize> = BTreeMap::new();
    for &product in &products {
        rows.insert(product, longer.len());
        longer.push(all.value(product)?.node);
    }
    let mut rewrite = Rewrite::new(body);
    for (id, node) in body.nodes.iter() {
        let (number, ty) = match (&node.op, rows.get(&id)) {
            (_, Some(&row)) => (row, node.ty.clone()),
            (Op::Argument { number, ty }, None) if *number >= inputs.len() => {
                (longer.len(), ty.clone())
            }
            _ => {
                rewrite.copy(id)?;
                continue;
            }
        };
        let argument = rewrite.new.argument(number, ty, span)?;
        rewrite.set(id, argument);
    }
    let light = Scan {
        body: Region::new(rewrite.finish()?),
        ..scan.clone()
    };
    Ok((light, longer))
}

/// A value of the body outside of the loop.
#[derive(Clone, Copy, Debug)]
struct Outside {
    node: NodeId,
    /// Whether axis 0 counts the rounds; else it is the same in each.
    stacked: bool,
}

/// Values of a body for all rounds at once.
struct AllRounds<'a> {
    graph: &'a mut Graph,
    scan: &'a Scan,
    inputs: &'a [NodeId],
    known: SecondaryMap<NodeId, Option<Outside>>,
}

impl AllRounds<'_> {
    fn value(&mut self, id: NodeId) -> Result<Outside, TypeError> {
        if let Some(known) = self.known[id] {
            return Ok(known);
        }
        let node = self.scan.body.graph().nodes[id].clone();
        let value = match &node.op {
            Op::Argument { number, .. } => Outside {
                node: self.inputs[*number],
                stacked: self.scan.role(*number, self.inputs.len()) == Role::Row,
            },
            _ => {
                let operands = node.inputs.iter().map(|&input| self.value(input));
                let operands: Vec<Outside> = operands.collect::<Result<_, _>>()?;
                let stacked = operands.iter().any(|operand| operand.stacked);
                let node = match stacked {
                    false => {
                        let inputs: Vec<NodeId> = operands.iter().map(|own| own.node).collect();
                        self.graph.add(node.op.clone(), &inputs, node.span)?
                    }
                    true => self.stacked(&node.op, &operands, node.span)?,
                };
                Outside { node, stacked }
            }
        };
        self.known[id] = Some(value);
        Ok(value)
    }

    fn stacked(&mut self, op: &Op, operands: &[Outside], span: Span) -> Result<NodeId, TypeError> {
        let rounds = Dim::fixed(self.scan.rounds);
        let nodes: Vec<NodeId> = operands.iter().map(|operand| operand.node).collect();
        let op = match op {
            Op::Contract(contraction) => {
                let indices = contraction.operands.iter().zip(operands);
                let shifted = indices
                    .map(|(axes, own)| shifted(axes, own.stacked))
                    .collect();
                let mut shape = vec![rounds];
                shape.extend(&contraction.shape);
                Op::Contract(Contraction {
                    shape,
                    reduced: contraction.reduced.clone(),
                    operands: shifted,
                })
            }
            Op::View(view) => {
                let mut shape = vec![rounds];
                shape.extend(&view.shape);
                Op::View(View {
                    shape,
                    index: shifted(&view.index, true),
                    fill: view.fill,
                })
            }
            Op::Reshape { shape: own } => {
                let mut shape = vec![rounds];
                shape.extend(own);
                Op::Reshape { shape }
            }
            other => {
                let repeated = operands.iter().map(|own| self.repeated(*own, span));
                let repeated: Vec<NodeId> = repeated.collect::<Result<_, _>>()?;
                return self.graph.add(other.clone(), &repeated, span);
            }
        };
        self.graph.add(op, &nodes, span)
    }

    /// The value with an axis for the rounds.
    fn repeated(&mut self, value: Outside, span: Span) -> Result<NodeId, TypeError> {
        if value.stacked {
            return Ok(value.node);
        }
        let ty = self.graph.ty(value.node).clone();
        let view = View {
            shape: stacked_type(&ty, self.scan.rounds).shape,
            index: (0..ty.rank())
                .map(|axis| AxisIndex::variable(axis + 1))
                .collect(),
            fill: Scalar::zero(ty.dtype),
        };
        self.graph.view(value.node, view, span)
    }
}

/// An index over variables that stand one place later; of a stacked operand, whose rows variable 0 counts.
fn shifted(axes: &[AxisIndex], stacked: bool) -> Vec<AxisIndex> {
    let later = axes
        .iter()
        .map(|axis| axis.substitute(|variable| AxisIndex::variable(variable + 1)));
    stacked
        .then(|| AxisIndex::variable(0))
        .into_iter()
        .chain(later)
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::graph::eval::{Tensor, evaluate};
    use crate::graph::text::parse;
    use crate::passes::run_named;

    #[test]
    fn the_input_product_of_all_rounds_is_one() {
        let text = r#"graph g {
  region r0 {
    %0 = argument : f32[4, 3] {number=0}
    %1 = argument : f32[4, 4] {number=1}
    %2 = argument : f32[B, 4] {number=2}
    %3 = argument : f32[B, 3] {number=3}
    %4 = contract %3, %0 : f32[B, 4] {index=["v0, v2", "v1, v2"], reduced=[3]}
    %5 = contract %2, %1 : f32[B, 4] {index=["v0, v2", "v1, v2"], reduced=[4]}
    %6 = add %4, %5 : f32[B, 4]
    %7 = tanh %6 : f32[B, 4]
    output result "0" = %7
    output result "1" = %7
  }
  %0 = input : f32[4, 3] {kind=parameter, name="w"}
  %1 = input : f32[4, 4] {kind=parameter, name="u"}
  %2 = input : f32[B, 4] {kind=data, name="h"}
  %3 = input : f32[5, B, 3] {kind=data, name="x"}
  %4 = scan %0, %1, %2, %3 : f32[5, B, 4] {captures=2, carries=1, region=r0, result=1, reverse=false, rounds=5}
  output result "y" = %4
}
"#;
        let before = parse(text).unwrap();
        let after = run_named(&before, &["hoist", "dead-code"]).unwrap();
        insta::assert_snapshot!(format!("{before}{after}"));
        let value = |shape: &[i64]| {
            Tensor::from_fn(shape, |at| {
                let place = at.iter().fold(1, |sum, &position| 3 * sum + position);
                (place % 7) as f64 / 7.0 - 0.4
            })
        };
        let inputs = [
            ("w", vec![4, 3]),
            ("u", vec![4, 4]),
            ("h", vec![2, 4]),
            ("x", vec![5, 2, 3]),
        ];
        let inputs = inputs.map(|(name, shape)| (name.to_string(), value(&shape)));
        let inputs = inputs.into_iter().collect();
        let results = [&before, &after].map(|graph| evaluate(graph, 2, &inputs).unwrap());
        assert_eq!(results[0][0].1.shape, [5, 2, 4]);
        let pairs = results[0][0].1.data.iter().zip(&results[1][0].1.data);
        for (a, b) in pairs {
            assert!((a - b).abs() < 1e-12 && a.abs() > 1e-3, "{a} {b}");
        }
    }
}
