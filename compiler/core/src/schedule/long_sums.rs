//! Long sums in stages. One accumulator that takes hundreds of thousands of values loses digits with each, and at 2^24
//! takes no ones any more; it is also one lane of one thread. The first stage adds up columns, side by side in vectors, the
//! next the columns' sums (blocked summation; Higham 1993). A product of samples in lanes has its operands' rows
//! in pieces instead, each as it lies in memory.

use super::lanes::Lanes;
use crate::graph::{
    AxisIndex, Contraction, DType, Dim, Graph, NodeId, Op, ReduceOp, Scalar, TypeError, View,
};
use crate::passes::Rewrite;
use dlm_grammar::Span;

/// Values that one accumulator takes at most.
const MOST: i64 = 1 << 12;
/// The fewest columns.
const COLUMNS: i64 = 16;
/// Values that a body of a product's loop takes at once.
const BODY: i64 = 8;

/// The graph with long sums in stages; none where there is none.
///
/// # Errors
/// None in truth.
pub fn long_sums(graph: &Graph, lanes: &Lanes) -> Result<Option<Graph>, TypeError> {
    let is_long = |(id, _): (NodeId, _)| {
        long_reduce(graph, lanes, id).is_some() || long_product(graph, lanes, id).is_some()
    };
    if !graph.nodes.iter().any(is_long) {
        return Ok(None);
    }
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let inputs = rewrite.inputs(id)?;
        if let Some(axes) = long_reduce(graph, lanes, id) {
            let lane = lanes.axis(node.inputs[0]);
            let new = in_stages(&mut rewrite.new, inputs[0], axes, lane, node.span)?;
            rewrite.set(id, new);
        } else if let Some((contraction, variable)) = long_product(graph, lanes, id) {
            let in_lanes = node.inputs.iter().any(|&input| lanes.axis(input).is_some());
            let extent = contraction.reduced[0].known().unwrap_or(1);
            let parts = match in_lanes {
                true => Parts::pieces(extent),
                false => Parts::columns(extent),
            };
            let inputs = (&*inputs, node.span);
            let new = in_parts(&mut rewrite.new, contraction, variable, parts, inputs)?;
            rewrite.set(id, new);
        } else {
            rewrite.copy(id)?;
        }
    }
    rewrite.finish().map(Some)
}

/// The axes of a sum of floats that one accumulator would take too many values of.
fn long_reduce<'g>(graph: &'g Graph, lanes: &Lanes, id: NodeId) -> Option<&'g [usize]> {
    let node = &graph.nodes[id];
    let Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    } = &node.op
    else {
        return None;
    };
    let input = node.inputs[0];
    let lane = lanes.axis(input);
    let long = node.ty.dtype == DType::F32 && count(graph.shape(input), axes, lane)? > MOST;
    long.then_some(axes)
}

/// How many values an accumulator takes; samples in lanes have one each.
fn count(shape: &[Dim], axes: &[usize], lane: Option<usize>) -> Option<i64> {
    let own = axes.iter().filter(|&&axis| Some(axis) != lane);
    own.map(|&axis| shape[axis].known()).product()
}

/// The sum over columns, then of the columns' sums.
fn in_stages(
    graph: &mut Graph,
    x: NodeId,
    axes: &[usize],
    lane: Option<usize>,
    span: Span,
) -> Result<NodeId, TypeError> {
    let shape = graph.shape(x).to_vec();
    if count(&shape, axes, lane).is_none_or(|count| count <= MOST) {
        return graph.reduce(ReduceOp::Sum, x, axes, span);
    }
    let extent = |axis: usize| shape[axis].known().unwrap_or(1);
    let own = axes.iter().copied().filter(|&axis| Some(axis) != lane);
    let Some(last) = own.max_by_key(|&axis| (extent(axis) >= COLUMNS, axis)) else {
        return graph.reduce(ReduceOp::Sum, x, axes, span);
    };
    if extent(last) > MOST {
        let split = split(graph, x, last, span)?;
        let later = |axis: usize| axis + usize::from(axis > last);
        let mut axes: Vec<usize> = axes.iter().map(|&axis| later(axis)).collect();
        axes.push(last + 1);
        let lane = lane.map(later);
        return in_stages(graph, split, &axes, lane, span);
    }
    let first: Vec<usize> = axes
        .iter()
        .copied()
        .filter(|&axis| axis != last && Some(axis) != lane)
        .collect();
    let columns = in_stages(graph, x, &first, lane, span)?;
    let place = |axis: usize| axis - first.iter().filter(|&&gone| gone < axis).count();
    let rest = axes.iter().copied().filter(|axis| !first.contains(axis));
    let rest: Vec<usize> = rest.map(place).collect();
    graph.reduce(ReduceOp::Sum, columns, &rest, span)
}

/// Columns into which so many values are laid out.
fn columns(extent: i64) -> i64 {
    (extent as f64)
        .sqrt()
        .ceil()
        .max(COLUMNS as f64)
        .min(MOST as f64) as i64
}

/// An axis as rows and columns; behind its end there are zeros.
fn split(graph: &mut Graph, x: NodeId, axis: usize, span: Span) -> Result<NodeId, TypeError> {
    let mut shape = graph.shape(x).to_vec();
    let extent = shape[axis].known().unwrap_or(1);
    let columns = (columns(extent) as u64).next_multiple_of(COLUMNS as u64) as i64;
    shape[axis] = Dim::fixed((extent as u64).div_ceil(columns as u64) as i64);
    shape.insert(axis + 1, Dim::fixed(columns));
    let later = |own: usize| AxisIndex::variable(own + usize::from(own > axis));
    let mut index: Vec<AxisIndex> = (0..shape.len() - 1).map(later).collect();
    index[axis] = AxisIndex::affine(&[(axis, columns), (axis + 1, 1)], 0, 1);
    let view = View {
        shape,
        index,
        fill: Scalar::zero(DType::F32),
    };
    graph.view(x, view, span)
}

/// A product that sums over one long axis alone, with its reduced variable.
fn long_product<'g>(
    graph: &'g Graph,
    lanes: &Lanes,
    id: NodeId,
) -> Option<(&'g Contraction, usize)> {
    let node = &graph.nodes[id];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let [only] = contraction.reduced.as_slice() else {
        return None;
    };
    let variable = contraction.shape.len();
    let in_lanes = |(axes, &input): (&Vec<AxisIndex>, &NodeId)| {
        lanes
            .axis(input)
            .is_some_and(|lane| axes[lane].coefficient(variable) != 0)
    };
    let mut operands = contraction.operands.iter().zip(&node.inputs);
    let simple = |axis: &AxisIndex| axis.coefficient(variable) == 0 || axis.as_variable().is_some();
    let long = node.ty.dtype == DType::F32
        && only.known()? > MOST
        && contraction.operands.iter().flatten().all(simple)
        && !operands.any(in_lanes);
    long.then_some((contraction, variable))
}

/// What a long product sums over, in parts.
struct Parts {
    count: i64,
    /// Values of a part.
    length: i64,
    /// How far its values lie from each other, and the parts' first values.
    apart: (i64, i64),
}

impl Parts {
    /// Values that lie together: each is read for all lanes.
    fn pieces(extent: i64) -> Parts {
        let count = pieces(extent);
        let length = (extent as u64).div_ceil(count as u64) as i64;
        Parts {
            count,
            length,
            apart: (1, length),
        }
    }

    /// Columns side by side, for vectors that run along them.
    fn columns(extent: i64) -> Parts {
        let count = columns(extent);
        Parts {
            count,
            length: (extent as u64).div_ceil(count as u64) as i64,
            apart: (count, 1),
        }
    }
}

/// The product of each part of what is summed over, then the sum of these.
fn in_parts(
    graph: &mut Graph,
    contraction: &Contraction,
    variable: usize,
    parts: Parts,
    (inputs, span): (&[NodeId], Span),
) -> Result<NodeId, TypeError> {
    let mut new = contraction.clone();
    new.shape.push(Dim::fixed(parts.count));
    new.reduced[0] = Dim::fixed(parts.length);
    let (value, part) = parts.apart;
    for axis in new.operands.iter_mut().flatten() {
        if axis.coefficient(variable) != 0 {
            *axis = AxisIndex::affine(&[(variable, part), (variable + 1, value)], 0, 1);
        }
    }
    let products = graph.add(Op::Contract(new), inputs, span)?;
    graph.reduce(ReduceOp::Sum, products, &[variable], span)
}

/// The fewest pieces that are short enough: of up to twice as many, those that are whole bodies of a loop, or at least equal.
fn pieces(extent: i64) -> i64 {
    let least = (extent as u64).div_ceil(MOST as u64) as i64;
    let equal = |step: i64| (least..=2 * least).find(|pieces| extent % (pieces * step) == 0);
    equal(BODY).or_else(|| equal(1)).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::eval::{Inputs, Tensor, evaluate};
    use crate::graph::text::parse;

    /// The graph of one operation on `x`, in stages; none of its sums takes more than `MOST` values, and their sum is that of
    /// the one operation.
    #[track_caller]
    fn check(shape: &str, extents: &[i64], operation: &str) {
        let text = format!(
            "graph sum {{\n%0 = input : f32[{shape}] {{kind=data, name=\"x\"}}\n%1 = {operation}\noutput result \"y\" = %1\n}}\n"
        );
        let graph = parse(&text).expect("a graph");
        let lanes = Lanes::analyse(&graph);
        let staged = long_sums(&graph, &lanes)
            .expect("types")
            .expect("a long sum");
        let own = Lanes::analyse(&staged);
        for (id, node) in staged.nodes.iter() {
            let long = long_reduce(&staged, &own, id).is_some()
                || long_product(&staged, &own, id).is_some();
            assert!(!long, "{:?} of {operation}", node.op);
        }
        let mut count = 0.0;
        let x = Tensor::from_fn(extents, |_| {
            count += 1.0;
            f64::from((count as i32 * 7919) % 13 - 4)
        });
        let inputs = Inputs::from([("x".to_owned(), x)]);
        let value = |graph: &Graph| {
            evaluate(graph, extents[0], &inputs).expect("values")[0]
                .1
                .clone()
        };
        assert_eq!(value(&staged), value(&graph), "{operation}");
    }

    #[test]
    fn sums_of_one_axis_and_of_several() {
        check("2, 4097", &[2, 4097], "reduce_sum %0 : f32[2] {axes=[1]}");
        check("2, 70001", &[2, 70001], "reduce_sum %0 : f32[2] {axes=[1]}");
        check(
            "3, 80, 90",
            &[3, 80, 90],
            "reduce_sum %0 : f32[3] {axes=[1, 2]}",
        );
        check(
            "2, 80, 3, 90",
            &[2, 80, 3, 90],
            "reduce_sum %0 : f32[2, 3] {axes=[1, 3]}",
        );
        check(
            "2, 9000, 2, 3",
            &[2, 9000, 2, 3],
            "reduce_sum %0 : f32[2, 2] {axes=[1, 3]}",
        );
    }

    /// Samples in lanes have a sum each.
    #[test]
    fn sums_of_samples() {
        check("B, 5000", &[3, 5000], "reduce_sum %0 : f32[B] {axes=[1]}");
        check("B, 5000", &[3, 5000], "reduce_sum %0 : f32 {axes=[0, 1]}");
        check(
            "B, 2, 70, 80",
            &[3, 2, 70, 80],
            "reduce_sum %0 : f32[2] {axes=[0, 2, 3]}",
        );
    }

    #[test]
    fn products_along_one_long_axis() {
        let product =
            "contract %0, %0 : f32[2, 2] {index=[\"v0, v2\", \"v1, v2\"], reduced=[5003]}";
        check("2, 5003", &[2, 5003], product);
        check("2, 8400", &[2, 8400], &product.replace("5003", "8400"));
    }

    /// Of samples in lanes, pieces; of others columns, along which vectors run.
    #[test]
    fn products_of_samples_are_in_pieces() {
        let text = "graph sum {\n%0 = input : f32[B, 8400] {kind=data, name=\"x\"}\n%1 = input : f32[4, 8400] {kind=parameter, name=\"w\"}\n%2 = contract %0, %1 : f32[B, 4] {index=[\"v0, v2\", \"v1, v2\"], reduced=[8400]}\noutput result \"y\" = %2\n}\n";
        let graph = parse(text).expect("a graph");
        let (samples, absent) = (Lanes::analyse(&graph), Lanes::absent(&graph));
        for (lanes, parts) in [(samples, 3), (absent, 92)] {
            let staged = long_sums(&graph, &lanes).expect("types");
            let staged = staged.expect("a long sum");
            let mut shapes = staged.nodes.values().map(|node| &node.ty.shape);
            let found = shapes.any(|shape| shape.get(2) == Some(&Dim::fixed(parts)));
            assert!(found, "{parts}: {staged}");
        }
    }

    #[test]
    fn pieces_are_equal_where_that_takes_no_more_than_twice_as_many() {
        // Whole bodies of 8; equal; and of a prime the fewest.
        assert_eq!((pieces(25_088), pieces(4112)), (7, 2));
        assert_eq!((pieces(5000), pieces(8400)), (2, 3));
        assert_eq!(pieces(5003), 2);
    }

    #[test]
    fn short_sums_are_one() {
        let text = "graph sum {\n%0 = input : f32[B, 4096] {kind=data, name=\"x\"}\n%1 = reduce_sum %0 : f32[B] {axes=[1]}\noutput result \"y\" = %1\n}\n";
        let graph = parse(text).expect("a graph");
        assert!(
            long_sums(&graph, &Lanes::analyse(&graph))
                .expect("types")
                .is_none()
        );
    }
}
