//! Copies of operands in the order in which products read them.
//!
//! | product | read as it is | copied |
//! |---|---|---|
//! | over samples and rounds, `sum over t, b of g[t, b, i] * x[t, b, j]` | one cache line in each of the rounds, all of them in the same few sets of a cache | the rounds of an element lie together |
//! | with a large matrix along its columns, `sum over i of g[t, b, i] * w[i, j]` | a few columns of every row, again and again | the transposed matrix, along its rows |
//! | with the weights of a convolution, `sum over c of x[b, c, ..] * w[o, c, ky, kx]`, tap by tap | one of the taps of every channel, and the cache lines of all | each tap's channels lie together |
//!
//! A copy costs one pass over the operand, and is made where the product goes over it many times, or where it is so large
//! that one pass in another order takes as long.

use super::lanes::{ContractionLanes, Lanes};
use super::outer::outer;
use super::target::Target;
use crate::graph::scan::{Role, arguments};
use crate::graph::{
    AxisIndex, Contraction, Dim, Graph, NodeId, Op, Region, Scalar, Scan, TypeError, View,
};
use crate::passes::Rewrite;
use dlm_grammar::Span;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Elements between two rounds' rows from which on they meet in the sets of a cache.
const FAR: i64 = 64;
/// How many times a copy is gone over at least.
const PASSES: i64 = 16;
/// Elements of a matrix that does not stay in the nearest cache.
const LARGE: i64 = 1 << 14;

/// The graph with copies, and the values that are stored for their order.
///
/// # Errors
/// None in truth.
pub fn arranged(
    graph: &Graph,
    lanes: &Lanes,
    (target, block): (&Target, usize),
) -> Result<(Graph, BTreeSet<NodeId>), TypeError> {
    let mut copies = BTreeSet::new();
    let mut loops: BTreeMap<NodeId, (Scan, Vec<NodeId>)> = BTreeMap::new();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let inputs = rewrite.inputs(id)?;
        let (op, inputs) = match &node.op {
            Op::Contract(own) if own.operands.len() == 2 => {
                // A turned operand has an order of its own.
                let outer = outer(graph, lanes, target, block, id);
                let turned = outer.map(|outer| outer.operand);
                let mut contraction = own.clone();
                let mut inputs = inputs.to_vec();
                for (operand, input) in inputs.iter_mut().enumerate() {
                    if turned == Some(operand) {
                        continue;
                    }
                    let order = order(graph, lanes, target, (&node.inputs, own), operand);
                    if let Some(order) = order {
                        let new = &mut rewrite.new;
                        *input = permuted(new, *input, &order, node.span)?;
                        copies.insert(*input);
                        let axes = &own.operands[operand];
                        contraction.operands[operand] =
                            order.iter().map(|&axis| axes[axis].clone()).collect();
                    }
                }
                (Op::Contract(contraction), inputs)
            }
            Op::Scan(scan) => {
                let first = graph.results_of(id).first().map_or(id, |first| first.1);
                if let Entry::Vacant(place) = loops.entry(first) {
                    let body = lanes.body(id);
                    let turned = body.map_or(Vec::new(), |body| turned(scan, &inputs, body));
                    let new = with_turned(&mut rewrite.new, scan, &inputs, &turned, node.span)?;
                    place.insert(new);
                }
                let (new, inputs) = &loops[&first];
                (Op::Scan(new.with_result(scan.result)), inputs.clone())
            }
            op => (op.clone(), inputs.to_vec()),
        };
        let new = rewrite.new.add(op, &inputs, node.span)?;
        rewrite.set(id, new);
    }
    Ok((rewrite.finish()?, copies))
}

/// The order of axes in which a product would have its operand, where a copy is worth while.
fn order(
    graph: &Graph,
    lanes: &Lanes,
    target: &Target,
    (inputs, contraction): (&[NodeId], &Contraction),
    operand: usize,
) -> Option<Vec<usize>> {
    match lanes.contraction(contraction, inputs) {
        ContractionLanes::Across(lane) => {
            rounds_last(graph, lanes, inputs[operand], contraction, operand, lane)
        }
        ContractionLanes::Along(lane) if lanes.axis(inputs[operand]).is_none() => {
            let shape = &graph.nodes[inputs[operand]].ty.shape;
            let order = summed_last(contraction, operand, shape);
            // A part of every row is from far away, each in another page: a copy is worth while for one pass.
            let elements: i64 = shape.iter().map(|dim| dim.at(1)).product();
            let far = elements * 4 >= target.second_cache / 2;
            order.filter(|_| far || passes(contraction, operand, lane) >= PASSES)
        }
        _ => None,
    }
}

/// The variable that each axis of an operand is.
fn variables(contraction: &Contraction, operand: usize, shape: &[Dim]) -> Option<Vec<usize>> {
    let extents: Vec<Dim> = contraction
        .shape
        .iter()
        .chain(&contraction.reduced)
        .copied()
        .collect();
    let axes = contraction.operands[operand].iter().zip(shape);
    let variables = axes.map(|(axis, dim)| {
        let variable = axis.as_variable()?;
        (extents[variable] == *dim).then_some(variable)
    });
    let variables: Vec<usize> = variables.collect::<Option<_>>()?;
    let distinct: BTreeSet<usize> = variables.iter().copied().collect();
    (distinct.len() == variables.len()).then_some(variables)
}

/// Of a product over samples and rounds.
fn rounds_last(
    graph: &Graph,
    lanes: &Lanes,
    input: NodeId,
    contraction: &Contraction,
    operand: usize,
    lane: usize,
) -> Option<Vec<usize>> {
    let shape = &graph.nodes[input].ty.shape;
    let rank = contraction.shape.len();
    let variables = variables(contraction, operand, shape)?;
    let own = lanes.axis(input)?;
    let mut rounds =
        (0..shape.len()).filter(|&axis| variables[axis] >= rank && variables[axis] != rank + lane);
    let axis = rounds.next().filter(|_| rounds.next().is_none())?;
    let after = (axis + 1..shape.len()).filter(|&other| other != own);
    let apart: i64 = after
        .map(|other| shape[other].known().unwrap_or(1))
        .product();
    let others = (0..rank).map(|variable| contraction.shape[variable].known().unwrap_or(1));
    let fits = apart >= FAR && shape[axis].known()? >= PASSES && others.max()? >= PASSES;
    let rest = (0..shape.len()).filter(|&other| other != axis);
    fits.then(|| rest.chain([axis]).collect())
}

/// How many times a product goes over an operand without samples, for each sample block.
fn passes(contraction: &Contraction, operand: usize, lane: usize) -> i64 {
    let reads = |variable: usize| {
        let axes = &contraction.operands[operand];
        axes.iter().any(|axis| axis.coefficient(variable) != 0)
    };
    let others = (0..contraction.shape.len()).filter(|&other| other != lane && !reads(other));
    others
        .map(|other| contraction.shape[other].known().unwrap_or(1))
        .product()
}

/// Whether an operand is a large matrix whose rows are summed over.
fn is_turned(contraction: &Contraction, operand: usize, shape: &[Dim]) -> bool {
    let rank = contraction.shape.len();
    let elements: Option<i64> = shape.iter().map(|dim| dim.known()).product();
    let turned = match variables(contraction, operand, shape).as_deref() {
        Some(&[row, column]) => row >= rank && column < rank,
        _ => false,
    };
    turned && elements.is_some_and(|elements| elements >= LARGE)
}

/// The order of axes in which what is summed over most lies together, where an operand is large and has another.
fn summed_last(contraction: &Contraction, operand: usize, shape: &[Dim]) -> Option<Vec<usize>> {
    let rank = contraction.shape.len();
    let variables = variables(contraction, operand, shape)?;
    let extents: Vec<i64> = shape.iter().map(|dim| dim.known()).collect::<Option<_>>()?;
    let (summed, mut order): (Vec<usize>, Vec<usize>) =
        (0..shape.len()).partition(|&axis| variables[axis] >= rank);
    let last = summed
        .iter()
        .copied()
        .max_by_key(|&axis| (extents[axis], axis))?;
    let is_last = extents[last + 1..].iter().all(|&extent| extent == 1);
    let elements: i64 = extents.iter().product();
    if order.is_empty() || is_last || elements < LARGE {
        return None;
    }
    order.extend(summed.into_iter().filter(|&axis| axis != last));
    order.push(last);
    Some(order)
}

fn permuted(
    graph: &mut Graph,
    x: NodeId,
    order: &[usize],
    span: Span,
) -> Result<NodeId, TypeError> {
    let own = graph.shape(x).to_vec();
    let mut index = vec![AxisIndex::constant(0); own.len()];
    for (place, &axis) in order.iter().enumerate() {
        index[axis] = AxisIndex::variable(place);
    }
    let view = View {
        shape: order.iter().map(|&axis| own[axis]).collect(),
        index,
        fill: Scalar::zero(graph.ty(x).dtype),
    };
    graph.view(x, view, span)
}

/// The captures of a loop that its products read along columns, by argument.
fn turned(scan: &Scan, inputs: &[NodeId], lanes: &Lanes) -> Vec<usize> {
    let body = scan.body.graph();
    let mut found = Vec::new();
    if scan.rounds < PASSES {
        return found;
    }
    for (number, id) in arguments(body) {
        let capture = scan.role(number, inputs.len()) == Role::Capture;
        let read = body
            .nodes
            .values()
            .any(|node| operand_turned(body, lanes, node, id));
        if capture && read && lanes.axis(id).is_none() {
            found.push(number);
        }
    }
    found
}

/// Whether a node is a product that reads `id` along columns.
fn operand_turned(body: &Graph, lanes: &Lanes, node: &crate::graph::Node, id: NodeId) -> bool {
    let Op::Contract(contraction) = &node.op else {
        return false;
    };
    let along = matches!(
        lanes.contraction(contraction, &node.inputs),
        ContractionLanes::Along(_)
    );
    let mut operands = node.inputs.iter().enumerate();
    contraction.operands.len() == 2
        && along
        && operands.any(|(operand, &input)| {
            input == id && is_turned(contraction, operand, &body.nodes[id].ty.shape)
        })
}

/// The loop with transposed captures beside those that its products read along columns.
fn with_turned(
    graph: &mut Graph,
    scan: &Scan,
    inputs: &[NodeId],
    turned: &[usize],
    span: Span,
) -> Result<(Scan, Vec<NodeId>), TypeError> {
    if turned.is_empty() {
        return Ok((scan.clone(), inputs.to_vec()));
    }
    let mut more = Vec::new();
    for &number in turned {
        more.push(permuted(graph, inputs[number], &[1, 0], span)?);
    }
    let mut all = inputs.to_vec();
    all.splice(scan.captures..scan.captures, more);
    let body = scan.body.graph();
    let mut rewrite = Rewrite::new(body);
    for (id, node) in body.nodes.iter() {
        match &node.op {
            Op::Argument { number, ty } if *number >= scan.captures => {
                let number = number + turned.len();
                let new = rewrite.new.argument(number, ty.clone(), node.span)?;
                rewrite.set(id, new);
            }
            Op::Contract(contraction) if contraction.operands.len() == 2 => {
                let mut contraction = contraction.clone();
                let mut operands = rewrite.inputs(id)?.to_vec();
                for (operand, input) in operands.iter_mut().enumerate() {
                    let source = &body.nodes[node.inputs[operand]];
                    let Op::Argument { number, ty } = &source.op else {
                        continue;
                    };
                    let place = turned.iter().position(|other| other == number);
                    let Some(place) = place.filter(|_| is_turned(&contraction, operand, &ty.shape))
                    else {
                        continue;
                    };
                    let ty =
                        crate::graph::TensorType::new(ty.dtype, vec![ty.shape[1], ty.shape[0]]);
                    *input = rewrite
                        .new
                        .argument(scan.captures + place, ty, source.span)?;
                    contraction.operands[operand].swap(0, 1);
                }
                let new = rewrite
                    .new
                    .add(Op::Contract(contraction), &operands, node.span)?;
                rewrite.set(id, new);
            }
            _ => {
                rewrite.copy(id)?;
            }
        }
    }
    let scan = Scan {
        body: Region::new(rewrite.finish()?),
        captures: scan.captures + turned.len(),
        ..scan.clone()
    };
    Ok((scan, all))
}
