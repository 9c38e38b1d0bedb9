//! Nodes of the graph under construction. The callers have checked types and shapes.

use crate::graph::{
    AxisIndex, BinaryOp, Builder, Contraction, DType, Dim, Graph, InputKind, NodeId, Op, RandomOp,
    ReduceOp, Scalar, Scan, TensorType, TypeError, UnaryOp, View,
};
use cranelift_entity::EntityRef;
use dlm_grammar::Span;

/// A graph under construction: equal operations on equal inputs are one node.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    /// What is there so far.
    pub graph: Graph,
    /// The place in the source that new nodes come from.
    pub span: Span,
    /// What the graph's builder refused; each is reported at the statement under way.
    pub refusals: Vec<String>,
}

impl Emitter {
    /// An empty graph of that name.
    pub fn new(name: &str) -> Emitter {
        Emitter {
            graph: Graph::new(name),
            ..Emitter::default()
        }
    }

    /// A node's type.
    pub fn ty(&self, node: NodeId) -> &TensorType {
        &self.graph.nodes[node].ty
    }

    /// A node's shape.
    pub fn shape(&self, node: NodeId) -> Vec<Dim> {
        self.ty(node).shape.clone()
    }

    /// A node's element type.
    pub fn dtype(&self, node: NodeId) -> DType {
        self.ty(node).dtype
    }

    /// Adds a node. The callers have checked that operands fit; where one has not, the failure is kept for a report.
    fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let added = self.graph.add(op, inputs, self.span);
        let node = self.checked(added);
        if fits(&self.graph.ty(node).shape) {
            return node;
        }
        let refusal = format!("{} is too large a tensor", self.graph.ty(node));
        self.checked(Err(TypeError(refusal)))
    }

    /// The node, or a stand-in where the builder refused; the refusal is kept for a report.
    fn checked(&mut self, added: Result<NodeId, TypeError>) -> NodeId {
        added.unwrap_or_else(|refusal| {
            self.refusals.push(refusal.0);
            // A constant is never refused, and the first node is there after it in any case.
            self.graph
                .constant(Scalar::F32(0.0), self.span)
                .unwrap_or_else(|_| NodeId::new(0))
        })
    }

    /// An input of the graph.
    pub fn input(&mut self, kind: InputKind, name: &str, ty: TensorType) -> NodeId {
        let op = Op::Input {
            kind,
            name: name.to_owned(),
            ty,
        };
        self.add(op, &[])
    }

    /// An extent as an i32 scalar.
    pub fn integer_extent(&mut self, dim: Dim) -> NodeId {
        let mut builder = Builder {
            graph: &mut self.graph,
            span: self.span,
        };
        let added = builder.integer_extent(dim);
        self.checked(added)
    }

    /// A scalar constant.
    pub fn constant(&mut self, scalar: Scalar) -> NodeId {
        self.add(Op::Constant(scalar), &[])
    }

    /// An f32 constant.
    pub fn float(&mut self, value: f64) -> NodeId {
        self.constant(Scalar::F32(value as f32))
    }

    /// The positions along an axis, as i32.
    pub fn iota(&mut self, shape: Vec<Dim>, axis: usize) -> NodeId {
        self.add(Op::Iota { shape, axis }, &[])
    }

    /// A dimension as an f32 scalar.
    pub fn extent(&mut self, dim: Dim) -> NodeId {
        if let Some(known) = dim.known() {
            return self.float(known as f64);
        }
        let batch = self.add(Op::BatchSize, &[]);
        let mut node = batch;
        if dim.batch != 1 {
            let factor = self.float(dim.batch as f64);
            node = self.binary(BinaryOp::Mul, node, factor);
        }
        if dim.fixed != 0 {
            let offset = self.float(dim.fixed as f64);
            node = self.binary(BinaryOp::Add, node, offset);
        }
        node
    }

    /// An elementwise function of one operand.
    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> NodeId {
        self.add(Op::Unary(op), &[x])
    }

    /// An elementwise function of two operands of one type and shape.
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        self.add(Op::Binary(op), &[a, b])
    }

    /// `a` where the condition holds, else `b`; all of one shape.
    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> NodeId {
        self.add(Op::Select, &[condition, a, b])
    }

    /// A conversion of the elements; none where they have that type.
    pub fn cast(&mut self, x: NodeId, dtype: DType) -> NodeId {
        if self.dtype(x) == dtype {
            return x;
        }
        self.add(Op::Cast(dtype), &[x])
    }

    /// A reduction over `axes`, ascending; none where there are none.
    pub fn reduce(&mut self, op: ReduceOp, x: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() && !matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin) {
            return x;
        }
        let axes = axes.to_vec();
        self.add(Op::Reduce { op, axes }, &[x])
    }

    /// A sum of products.
    pub fn contract(&mut self, contraction: Contraction, operands: &[NodeId]) -> NodeId {
        self.add(Op::Contract(contraction), operands)
    }

    /// An affine view with zero as fill.
    pub fn view(&mut self, x: NodeId, shape: Vec<Dim>, index: Vec<AxisIndex>) -> NodeId {
        let fill = zero_of(self.dtype(x));
        self.view_filled(x, shape, index, fill)
    }

    /// An affine view; none where it changes nothing.
    pub fn view_filled(
        &mut self,
        x: NodeId,
        shape: Vec<Dim>,
        index: Vec<AxisIndex>,
        fill: Scalar,
    ) -> NodeId {
        let identity = index
            .iter()
            .enumerate()
            .all(|(axis, index)| index.as_variable() == Some(axis));
        if identity && self.ty(x).shape == shape {
            return x;
        }
        self.add(Op::View(View { shape, index, fill }), &[x])
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, x: NodeId, shape: Vec<Dim>) -> NodeId {
        if self.ty(x).shape == shape {
            return x;
        }
        self.add(Op::Reshape { shape }, &[x])
    }

    /// The tensor whose rows, each once and in order, these are.
    pub fn all_rows(&self, nodes: &[NodeId]) -> Option<NodeId> {
        let row = |(place, &node): (usize, &NodeId)| {
            let Op::View(view) = &self.graph.nodes[node].op else {
                return None;
            };
            let (first, rest) = view.index.split_first()?;
            let mut rest = rest.iter().enumerate();
            let whole = rest.all(|(axis, index)| index.as_variable() == Some(axis));
            let own = *first == AxisIndex::constant(place as i64) && whole;
            let stack = self.graph.nodes[node].inputs[0];
            let shape = &self.ty(stack).shape;
            let fits = shape[0].known() == Some(nodes.len() as i64) && shape[1..] == view.shape;
            (own && fits).then_some(stack)
        };
        let mut stacks = nodes.iter().enumerate().map(row);
        let first = stacks.next()??;
        stacks.all(|stack| stack == Some(first)).then_some(first)
    }

    /// The tensor with its first axis in another place.
    pub fn move_first_axis(&mut self, x: NodeId, place: usize) -> NodeId {
        let mut order: Vec<usize> = (1..self.ty(x).rank()).collect();
        order.insert(place, 0);
        let own = self.shape(x);
        let shape = order.iter().map(|&axis| own[axis]).collect();
        let mut index = vec![AxisIndex::constant(0); own.len()];
        for (place, &axis) in order.iter().enumerate() {
            index[axis] = AxisIndex::variable(place);
        }
        self.view(x, shape, index)
    }

    /// Operands joined along an axis.
    pub fn concat(&mut self, axis: usize, operands: &[NodeId]) -> NodeId {
        if let [only] = operands {
            return *only;
        }
        self.add(Op::Concat { axis }, operands)
    }

    /// Rows of a table.
    pub fn gather(&mut self, table: NodeId, ids: NodeId) -> NodeId {
        self.add(Op::Gather, &[table, ids])
    }

    /// Inclusive prefix sums.
    pub fn cumulative_sum(&mut self, x: NodeId, axis: usize) -> NodeId {
        let reverse = false;
        self.add(Op::CumulativeSum { axis, reverse }, &[x])
    }

    /// Random values; `seed` and `step` are i32 scalars.
    pub fn random(
        &mut self,
        op: RandomOp,
        place: u32,
        shape: Vec<Dim>,
        seed: NodeId,
        step: NodeId,
    ) -> NodeId {
        self.add(Op::Random { op, place, shape }, &[seed, step])
    }

    /// The identity, without gradient.
    pub fn stop_gradient(&mut self, x: NodeId) -> NodeId {
        self.add(Op::StopGradient, &[x])
    }

    /// A value that a round of a loop begins with.
    pub fn argument(&mut self, number: usize, ty: TensorType) -> NodeId {
        self.add(Op::Argument { number, ty }, &[])
    }

    /// All results of a loop; nothing where its inputs do not suit it.
    pub fn scan(&mut self, scan: &Scan, inputs: &[NodeId]) -> Option<Vec<NodeId>> {
        let results = self.graph.scan(scan, inputs, self.span).ok()?;
        let small = |&node: &NodeId| fits(&self.graph.ty(node).shape);
        results.iter().all(small).then_some(results)
    }

    /// The gradient of a scalar.
    pub fn gradient(&mut self, loss: NodeId, x: NodeId) -> NodeId {
        self.add(Op::Gradient, &[loss, x])
    }

    /// The value repeated to a shape that it broadcasts to, by NumPy's rule.
    pub fn broadcast(&mut self, x: NodeId, shape: &[Dim]) -> NodeId {
        let own = self.shape(x);
        let skipped = shape.len() - own.len();
        let index = own
            .iter()
            .enumerate()
            .map(|(axis, &dim)| match dim == shape[axis + skipped] {
                true => AxisIndex::variable(axis + skipped),
                false => AxisIndex::constant(0),
            })
            .collect();
        self.view(x, shape.to_vec(), index)
    }

    /// The axes in another order.
    pub fn permute(&mut self, x: NodeId, order: &[usize]) -> NodeId {
        let own = self.shape(x);
        let shape = order.iter().map(|&axis| own[axis]).collect();
        let mut index = vec![AxisIndex::constant(0); own.len()];
        for (position, &axis) in order.iter().enumerate() {
            index[axis] = AxisIndex::variable(position);
        }
        self.view(x, shape, index)
    }

    /// A new axis of extent 1.
    pub fn insert_axis(&mut self, x: NodeId, axis: usize) -> NodeId {
        let mut shape = self.shape(x);
        let variable = |own: usize| if own < axis { own } else { own + 1 };
        let index = (0..shape.len())
            .map(|own| AxisIndex::variable(variable(own)))
            .collect();
        shape.insert(axis, Dim::fixed(1));
        self.view(x, shape, index)
    }

    /// Without an axis of extent 1.
    pub fn remove_axis(&mut self, x: NodeId, axis: usize) -> NodeId {
        let mut shape = self.shape(x);
        let index = (0..shape.len())
            .map(|own| match own.cmp(&axis) {
                std::cmp::Ordering::Less => AxisIndex::variable(own),
                std::cmp::Ordering::Equal => AxisIndex::constant(0),
                std::cmp::Ordering::Greater => AxisIndex::variable(own - 1),
            })
            .collect();
        shape.remove(axis);
        self.view(x, shape, index)
    }

    /// A scalar repeated to a shape.
    pub fn full(&mut self, scalar: Scalar, shape: &[Dim]) -> NodeId {
        let node = self.constant(scalar);
        self.broadcast(node, shape)
    }
}

/// The most elements of a tensor, for a batch of one.
const MOST_ELEMENTS: i64 = 1 << 40;

/// Whether a tensor of that shape is one that sizes can be computed with.
pub(super) fn fits(shape: &[Dim]) -> bool {
    let extent = |dim: &Dim| dim.batch.checked_add(dim.fixed);
    let product = shape
        .iter()
        .try_fold(1_i64, |product, dim| product.checked_mul(extent(dim)?));
    let small = |dim: &Dim| dim.batch.abs() < MOST_ELEMENTS && dim.fixed.abs() < MOST_ELEMENTS;
    product.is_some_and(|product| product <= MOST_ELEMENTS) && shape.iter().all(small)
}

/// Zero of an element type.
pub(super) fn zero_of(dtype: DType) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(false),
        DType::I32 | DType::I64 | DType::U8 => Scalar::I32(0),
        DType::F32 | DType::Bf16 => Scalar::F32(0.0),
    }
}
