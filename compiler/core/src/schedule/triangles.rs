//! Values of which one side of a diagonal is zero, or is read by nothing: the scores of causal attention, and what follows
//! from them. Products leave out what they would multiply by zero, or make for no one.
//!
//! | value | beyond the diagonal |
//! |---|---|
//! | `where(j > i, 0, x)` | 0 |
//! | `where(j > i, -inf, x)` | -inf, and stays so where anything is taken away; its `exp` is 0 |
//! | `x * y`, `x / y`, `-x` of an `x` that is 0 there | 0 |
//! | `x` that is only multiplied by such a value, or left out by `where` | read by nothing |
//!
//! What is infinite or no number is not looked at: `0 * x` counts as 0. Where -inf stays so, every row keeps its diagonal: a
//! row of nothing but -inf has no number as its softmax.

use crate::graph::{AxisIndex, BinaryOp, DType, Graph, NodeId, Op, Scalar, UnaryOp, View};
use cranelift_entity::SecondaryMap;

/// The places whose position along one axis is greater than that along another by more than so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triangle {
    /// The axis of the greater position.
    pub greater: usize,
    /// The axis of the lesser.
    pub lesser: usize,
    /// By how much at least, less one.
    pub offset: i64,
}

impl Triangle {
    /// All other places.
    fn others(self) -> Triangle {
        Triangle {
            greater: self.lesser,
            lesser: self.greater,
            offset: -self.offset - 1,
        }
    }
}

/// What all places of a triangle are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Zero,
    MinusInfinity,
}

/// Who reads a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Readers {
    #[default]
    None,
    Outside(Triangle),
    Everywhere,
}

/// The triangles of a graph's values.
#[derive(Debug, Default)]
pub struct Triangles {
    filled: SecondaryMap<NodeId, Option<(Triangle, Fill)>>,
    readers: SecondaryMap<NodeId, Readers>,
}

impl Triangles {
    /// Those of a graph.
    pub fn of(graph: &Graph) -> Triangles {
        let mut triangles = Triangles::default();
        for (id, _) in graph.nodes.iter() {
            triangles.filled[id] = triangles.fill_of(graph, id);
        }
        triangles.find_readers(graph);
        triangles
    }

    /// Where a value is zero.
    pub fn zero(&self, node: NodeId) -> Option<Triangle> {
        let filled = self.filled[node].filter(|filled| filled.1 == Fill::Zero);
        filled.map(|filled| filled.0)
    }

    /// Where nothing reads a value.
    pub fn unread(&self, node: NodeId) -> Option<Triangle> {
        match self.readers[node] {
            Readers::Outside(triangle) => Some(triangle),
            Readers::None | Readers::Everywhere => None,
        }
    }

    fn fill_of(&self, graph: &Graph, id: NodeId) -> Option<(Triangle, Fill)> {
        let node = &graph.nodes[id];
        let of = |number: usize| self.filled[node.inputs[number]];
        let zero = |number: usize| of(number).filter(|filled| filled.1 == Fill::Zero);
        match &node.op {
            Op::Select => {
                let mask = mask(graph, node.inputs[0])?;
                let fills = [(1, mask), (2, mask.others())].into_iter();
                let mut fills = fills.filter_map(|(number, triangle)| {
                    Some((triangle, constant(graph, node.inputs[number])?))
                });
                fills.next()
            }
            Op::Unary(UnaryOp::Neg) => zero(0),
            Op::Unary(UnaryOp::Exp) => {
                let infinite = of(0).filter(|filled| filled.1 == Fill::MinusInfinity);
                infinite.map(|(triangle, _)| (triangle, Fill::Zero))
            }
            Op::StopGradient | Op::Cast(DType::F32 | DType::Bf16) => of(0),
            Op::Binary(BinaryOp::Mul) => zero(0).or_else(|| zero(1)),
            Op::Binary(BinaryOp::Div) => zero(0),
            Op::Binary(BinaryOp::Sub) if zero(0).is_some() => {
                zero(0).filter(|own| zero(1) == Some(*own))
            }
            Op::Binary(BinaryOp::Sub) => of(0).filter(|own| keeps_diagonal(graph, id, own.0)),
            Op::Binary(BinaryOp::Add) => zero(0).filter(|own| zero(1) == Some(*own)),
            Op::View(view) => {
                let (triangle, fill) = of(0).filter(|_| is_inside(graph, id, view))?;
                let axes = (
                    moved(graph, id, view, triangle.greater)?,
                    moved(graph, id, view, triangle.lesser)?,
                );
                let (greater, lesser) = axes;
                Some((
                    Triangle {
                        greater,
                        lesser,
                        ..triangle
                    },
                    fill,
                ))
            }
            _ => None,
        }
    }

    fn find_readers(&mut self, graph: &Graph) {
        let live = graph.live_nodes();
        for output in &graph.outputs {
            self.readers[output.node] = Readers::Everywhere;
        }
        for id in graph.nodes.keys().rev().filter(|&id| live.contains(id)) {
            for (number, &input) in graph.nodes[id].inputs.iter().enumerate() {
                let reads = self.reads(graph, id, number);
                self.readers[input] = match (self.readers[input], reads) {
                    (Readers::None, reads) => reads,
                    (before, reads) if before == reads => before,
                    _ => Readers::Everywhere,
                };
            }
        }
    }

    /// Where a node reads one of its inputs.
    fn reads(&self, graph: &Graph, id: NodeId, number: usize) -> Readers {
        let node = &graph.nodes[id];
        if graph.nodes[node.inputs[number]].ty.shape != node.ty.shape {
            return Readers::Everywhere;
        }
        let outside =
            |triangle: Option<Triangle>| triangle.map_or(self.readers[id], Readers::Outside);
        match &node.op {
            Op::Select if number > 0 => {
                let mask = mask(graph, node.inputs[0]);
                outside(mask.map(|mask| if number == 1 { mask.others() } else { mask }))
            }
            Op::Binary(BinaryOp::Mul) if node.inputs[0] != node.inputs[1] => {
                outside(self.zero(node.inputs[1 - number]))
            }
            Op::Unary(op) if is_finite(*op) => self.readers[id],
            Op::Binary(BinaryOp::Add | BinaryOp::Sub) => self.readers[id],
            Op::Binary(BinaryOp::Div) if number == 0 => self.readers[id],
            Op::Cast(DType::F32 | DType::Bf16) | Op::StopGradient => self.readers[id],
            _ => Readers::Everywhere,
        }
    }
}

/// Whether a function of what follows from the zero that stands where a product is left out is a finite number: a tile at
/// the diagonal multiplies it by zeros.
fn is_finite(op: UnaryOp) -> bool {
    matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Tanh)
}

/// Where a comparison of two positions holds.
fn mask(graph: &Graph, id: NodeId) -> Option<Triangle> {
    let node = &graph.nodes[id];
    let Op::Binary(comparison) = node.op else {
        return None;
    };
    let axis = |number: usize| match graph.nodes[node.inputs[number]].op {
        Op::Iota { axis, .. } => Some(axis),
        _ => None,
    };
    let (left, right) = (axis(0)?, axis(1)?);
    let (greater, lesser, offset) = match comparison {
        BinaryOp::Gt => (left, right, 0),
        BinaryOp::Ge => (left, right, -1),
        BinaryOp::Lt => (right, left, 0),
        BinaryOp::Le => (right, left, -1),
        _ => return None,
    };
    let triangle = Triangle {
        greater,
        lesser,
        offset,
    };
    (greater != lesser).then_some(triangle)
}

fn constant(graph: &Graph, id: NodeId) -> Option<Fill> {
    match graph.constant_value(id)? {
        Scalar::F32(0.0) => Some(Fill::Zero),
        Scalar::F32(f32::NEG_INFINITY) => Some(Fill::MinusInfinity),
        _ => None,
    }
}

/// Whether every row has its diagonal, of which the triangle is no part.
fn keeps_diagonal(graph: &Graph, id: NodeId, triangle: Triangle) -> bool {
    let shape = &graph.nodes[id].ty.shape;
    triangle.offset >= 0 && shape[triangle.greater] == shape[triangle.lesser]
}

/// Whether a view reads nothing beyond the ends of what it views.
fn is_inside(graph: &Graph, id: NodeId, view: &View) -> bool {
    let shape = &graph.nodes[graph.nodes[id].inputs[0]].ty.shape;
    let mut axes = view.index.iter().zip(shape);
    axes.all(|(axis, dim)| match axis.as_variable() {
        Some(variable) => view.shape[variable] == *dim,
        None => {
            let inside = dim
                .known()
                .is_some_and(|extent| (0..extent).contains(&axis.offset));
            axis.terms.is_empty() && axis.divisor == 1 && inside
        }
    })
}

/// The axis of a view that is an axis of what it views, from end to end.
fn moved(graph: &Graph, id: NodeId, view: &View, axis: usize) -> Option<usize> {
    let variable = view.index[axis].as_variable()?;
    let input = graph.nodes[id].inputs[0];
    let whole = graph.nodes[input].ty.shape[axis] == view.shape[variable];
    let alone = |index: &&AxisIndex| index.coefficient(variable) != 0;
    (whole && view.index.iter().filter(alone).count() == 1).then_some(variable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text::parse;

    /// Where the last value of a graph is zero, and where its values `%0` and on are read by nothing.
    fn check(text: &str, wanted: &str) {
        let graph = parse(text).expect("a graph");
        let triangles = Triangles::of(&graph);
        let show = |triangle: Option<Triangle>| {
            triangle.map(|own| {
                format!(
                    "axis {} > axis {} + {}",
                    own.greater, own.lesser, own.offset
                )
            })
        };
        let mut lines = Vec::new();
        for id in graph.nodes.keys() {
            let [zero, unread] = [triangles.zero(id), triangles.unread(id)].map(show);
            lines.extend(zero.map(|zero| format!("{id} zero: {zero}")));
            lines.extend(unread.map(|unread| format!("{id} unread: {unread}")));
        }
        assert_eq!(lines.join("\n"), wanted, "{text}");
    }

    #[test]
    fn scores_before_and_behind_a_softmax() {
        check(
            "graph a {
  %0 = input : f32[B, 4, 4] {kind=data, name=\"s\"}
  %1 = iota : i32[B, 4, 4] {axis=2}
  %2 = iota : i32[B, 4, 4] {axis=1}
  %3 = gt %1, %2 : bool[B, 4, 4]
  %4 = constant : f32 {value=-inf}
  %5 = view %4 : f32[B, 4, 4] {fill=0.0, index=\"\"}
  %6 = select %3, %5, %0 : f32[B, 4, 4]
  %7 = reduce_max %6 : f32[B, 4] {axes=[2]}
  %8 = view %7 : f32[B, 4, 4] {fill=0.0, index=\"v0, v1\"}
  %9 = sub %6, %8 : f32[B, 4, 4]
  %10 = exp %9 : f32[B, 4, 4]
  %11 = view %10 : f32[B, 4, 4] {fill=0.0, index=\"v0, v2, v1\"}
  output result \"out\" = %11
}
",
            "%0 unread: axis 2 > axis 1 + 0
%5 unread: axis 1 > axis 2 + -1
%10 zero: axis 2 > axis 1 + 0
%11 zero: axis 1 > axis 2 + 0",
        );
    }

    #[test]
    fn what_only_zeros_are_multiplied_with_is_not_read() {
        let graph = |last: &str| {
            format!(
                "graph a {{
  %0 = input : f32[B, 4, 4] {{kind=data, name=\"s\"}}
  %1 = input : f32[B, 4, 4] {{kind=data, name=\"g\"}}
  %2 = iota : i32[B, 4, 4] {{axis=1}}
  %3 = iota : i32[B, 4, 4] {{axis=2}}
  %4 = ge %2, %3 : bool[B, 4, 4]
  %5 = constant : f32 {{value=0.0}}
  %6 = view %5 : f32[B, 4, 4] {{fill=0.0, index=\"\"}}
  %7 = select %4, %0, %6 : f32[B, 4, 4]
  %8 = neg %1 : f32[B, 4, 4]
  %9 = mul %8, %7 : f32[B, 4, 4]
{last}
}}
"
            )
        };
        check(
            &graph("  output result \"out\" = %9"),
            "%0 unread: axis 2 > axis 1 + 0
%1 unread: axis 2 > axis 1 + 0
%6 unread: axis 1 > axis 2 + -1
%7 zero: axis 2 > axis 1 + 0
%8 unread: axis 2 > axis 1 + 0
%9 zero: axis 2 > axis 1 + 0",
        );
        // Another reads it everywhere.
        check(
            &graph("  %10 = add %8, %9 : f32[B, 4, 4]\n  output result \"out\" = %10"),
            "%0 unread: axis 2 > axis 1 + 0
%6 unread: axis 1 > axis 2 + -1
%7 zero: axis 2 > axis 1 + 0
%9 zero: axis 2 > axis 1 + 0",
        );
    }

    #[test]
    fn what_is_read_beyond_the_ends_of_a_view_is_no_zero() {
        let graph = |fill: &str, index: &str, rows: i64| {
            format!(
                "graph a {{
  %0 = input : f32[B, 4, 4] {{kind=data, name=\"s\"}}
  %1 = iota : i32[B, 4, 4] {{axis=1}}
  %2 = iota : i32[B, 4, 4] {{axis=2}}
  %3 = gt %2, %1 : bool[B, 4, 4]
  %4 = constant : f32 {{value=0.0}}
  %5 = view %4 : f32[B, 4, 4] {{fill=0.0, index=\"\"}}
  %6 = select %3, %5, %0 : f32[B, 4, 4]
  %7 = view %6 : f32[B, {rows}, 4, 4] {{fill={fill}, index=\"{index}\"}}
  output result \"out\" = %7
}}
"
            )
        };
        let before = "%0 unread: axis 2 > axis 1 + 0
%5 unread: axis 1 > axis 2 + -1
%6 zero: axis 2 > axis 1 + 0";
        let repeated = format!("{before}\n%7 zero: axis 3 > axis 2 + 0");
        check(&graph("1.0", "v0, v2, v3", 2), &repeated);
        check(&graph("1.0", "v0, v2, v3-1", 2), before);
    }

    #[test]
    fn a_row_without_its_diagonal_and_functions_of_sums_are_left_as_they_are() {
        let graph = |comparison: &str, function: &str| {
            format!(
                "graph a {{
  %0 = input : f32[B, 4, 4] {{kind=data, name=\"s\"}}
  %1 = input : f32[B, 4, 4] {{kind=data, name=\"m\"}}
  %2 = iota : i32[B, 4, 4] {{axis=1}}
  %3 = iota : i32[B, 4, 4] {{axis=2}}
  %4 = {comparison} %3, %2 : bool[B, 4, 4]
  %5 = constant : f32 {{value=-inf}}
  %6 = view %5 : f32[B, 4, 4] {{fill=0.0, index=\"\"}}
  %7 = select %4, %6, %1 : f32[B, 4, 4]
  %8 = sub %7, %1 : f32[B, 4, 4]
  %9 = exp %8 : f32[B, 4, 4]
  %10 = {function} %0 : f32[B, 4, 4]
  %11 = mul %10, %9 : f32[B, 4, 4]
  output result \"out\" = %11
}}
"
            )
        };
        // Behind `exp`, a product that is left out could be an infinity.
        check(
            &graph("gt", "exp"),
            "%6 unread: axis 1 > axis 2 + -1
%9 zero: axis 2 > axis 1 + 0
%10 unread: axis 2 > axis 1 + 0
%11 zero: axis 2 > axis 1 + 0",
        );
        check(&graph("ge", "neg"), "%6 unread: axis 1 > axis 2 + 0");
    }
}
