//! The value of any node at a place.

use super::{LowerError, Lowering, Place, Vectors, form};
use crate::graph::{AxisIndex, DType, Dim, NodeId, Op, RandomOp, Scalar, View};
use crate::loops::{Comparison, IntOp, MathOp, Value, VectorBinary, VectorUnary};
use crate::plan::{BufferId, ScalarArgument};
use crate::schedule::affine::Affine;
use crate::schedule::fuse::root;
use crate::schedule::position::{IndexSpace, Indexed, Position, index, reshape};

impl Lowering<'_> {
    /// Computes or loads the value of `node` at `places`, in every lane.
    pub(super) fn value(&mut self, node: NodeId, places: &[Place]) -> Result<Value, LowerError> {
        let key = (node, places.to_vec());
        if let Some(value) = self.recall(&key) {
            return Ok(value);
        }
        let value = self.fresh_value(node, places)?;
        self.remember(key, value);
        Ok(value)
    }

    fn fresh_value(&mut self, node: NodeId, places: &[Place]) -> Result<Value, LowerError> {
        let cx = self.cx;
        let source = root(cx.graph, node);
        if let Some(buffer) = self.buffer_read(source) {
            return self.load(node, buffer, &cx.graph.nodes[node].ty.shape, places);
        }
        self.computed(node, places)
    }

    /// Where a value is read from memory, if it is.
    pub(super) fn buffer_read(&self, source: NodeId) -> Option<BufferId> {
        let outputs = &self.group.outputs;
        let buffers = &self.cx.buffer_of;
        if let Some(buffer) = self.cx.images.get(&source) {
            let own = outputs.iter().any(|id| buffers.get(id) == Some(buffer));
            return Some(*buffer).filter(|buffer| !own && self.bound.contains_key(buffer));
        }
        let own = outputs.contains(&source);
        let buffer = buffers.get(&source).filter(|_| !own)?;
        Some(self.plain_copy(source).unwrap_or(*buffer))
    }

    /// A plain copy stands in for a value in lanes where the kernel runs over features.
    fn plain_copy(&self, source: NodeId) -> Option<BufferId> {
        let copy = self.cx.relayout_of.get(&source).copied()?;
        (!self.in_blocks() && self.bound.contains_key(&copy)).then_some(copy)
    }

    /// Computes a value from the node's inputs, even where it is also stored.
    pub(super) fn computed(&mut self, node: NodeId, places: &[Place]) -> Result<Value, LowerError> {
        let cx = self.cx;
        let data = &cx.graph.nodes[node];
        match &data.op {
            Op::Constant(scalar) => Ok(self.constant(*scalar)),
            Op::BatchSize => {
                let batch = self.extent(cx.lanes.extent.unwrap_or(Dim::BATCH));
                let batch = self.b.materialise(&form(&batch));
                let count = self.b.index_to_int(batch, self.width);
                Ok(self.b.unary(VectorUnary::ToFloat, count))
            }
            Op::Iota { axis, .. } => Ok(self.position_value(&places[*axis])),
            Op::StopGradient => self.value(data.inputs[0], places),
            // All arguments but the round's number are in memory.
            Op::Argument { .. } => {
                let round = self.scalar(ScalarArgument::Round);
                Ok(self.b.index_to_int(round, self.width))
            }
            Op::Cast(to) => {
                let value = self.cast(data.inputs[0], *to, places)?;
                Ok(self.settled(node, value))
            }
            Op::Unary(op) => {
                let operand = self.value(data.inputs[0], places)?;
                let dtype = cx.graph.nodes[data.inputs[0]].ty.dtype;
                let value = self.unary(*op, dtype, operand);
                Ok(self.settled(node, value))
            }
            Op::Binary(op) => {
                if let Some(value) = self.multiply_add(*op, &data.inputs, places)? {
                    return Ok(self.settled(node, value));
                }
                let a = self.value(data.inputs[0], places)?;
                let b = self.value(data.inputs[1], places)?;
                let dtype = cx.graph.nodes[data.inputs[0]].ty.dtype;
                let constants = data
                    .inputs
                    .iter()
                    .map(|&input| self.is_constant(input))
                    .collect::<Vec<_>>();
                let value = self.binary(*op, dtype, (a, constants[0]), (b, constants[1]));
                Ok(self.settled(node, value))
            }
            Op::Select => {
                let mask = self.value(data.inputs[0], places)?;
                let a = self.value(data.inputs[1], places)?;
                let b = self.value(data.inputs[2], places)?;
                Ok(self.b.select(mask, a, b))
            }
            Op::Reshape { shape } => {
                let from = &cx.graph.nodes[data.inputs[0]].ty.shape;
                match reshape(self, shape, from, places) {
                    Some(moved) => self.value(data.inputs[0], &moved),
                    None => self.not_affine(node),
                }
            }
            Op::View(view) => self.view(node, view, data.inputs[0], places),
            Op::Contract(unary) if !cx.strategies.contains_key(&node) => {
                let view = View {
                    shape: unary.shape.clone(),
                    index: unary.operands[0].clone(),
                    fill: Scalar::F32(0.0),
                };
                self.view(node, &view, data.inputs[0], places)
            }
            Op::Reduce { op, axes } if !cx.strategies.contains_key(&node) => {
                let value = self.window(node, *op, axes, places)?;
                Ok(self.settled(node, value))
            }
            Op::Gather => self.gather(data.inputs[0], data.inputs[1], places),
            Op::Random { op, place, shape } => {
                self.random(*op, *place, shape, (data.inputs[0], data.inputs[1]), places)
            }
            other => {
                let what = format!("{other:?}");
                self.unsupported(
                    node,
                    what.split([' ', '{', '(']).next().unwrap_or("an operation"),
                )
            }
        }
    }

    fn not_affine<T>(&self, node: NodeId) -> Result<T, LowerError> {
        match self.vectors {
            Vectors::Feature(_) | Vectors::Joined(_) => Err(LowerError::NotVector),
            _ => self.unsupported(node, "this change of shape of a batch"),
        }
    }

    pub(super) fn is_constant(&self, node: NodeId) -> bool {
        let mut node = node;
        loop {
            match &self.cx.graph.nodes[node].op {
                Op::Constant(Scalar::F32(value)) => return !value.is_nan(),
                Op::View(_) | Op::Reshape { .. } => node = self.cx.graph.nodes[node].inputs[0],
                _ => return false,
            }
        }
    }

    pub(super) fn constant(&mut self, scalar: Scalar) -> Value {
        match scalar {
            Scalar::F32(value) => self.b.float(value, self.width),
            Scalar::I32(value) => self.b.integer(value, self.width),
            Scalar::Bool(value) => self.b.mask(value, self.width),
        }
    }

    /// A position as i32 in each lane.
    fn position_value(&mut self, place: &Place) -> Value {
        let (at, steps) = match place {
            Position::At(position) => {
                let steps = (self.step_in_row(position), self.step_along(position));
                (position.clone(), steps)
            }
            Position::Lane => (self.first_sample(), (1, 0)),
        };
        self.counted(&at, steps)
    }

    fn view(
        &mut self,
        node: NodeId,
        view: &View,
        input: NodeId,
        places: &[Place],
    ) -> Result<Value, LowerError> {
        if let Some(inset) = self
            .cx
            .insets
            .get(&input)
            .filter(|inset| inset.view == node)
        {
            let buffer = self.cx.buffer_of[&input];
            return self.load(node, buffer, &inset.outer, places);
        }
        let shape = self.cx.graph.nodes[input].ty.shape.clone();
        let mut moved = Vec::with_capacity(shape.len());
        let mut condition: Option<Value> = None;
        for (axis, dim) in view.index.iter().zip(&shape) {
            moved.push(self.moved(node, axis, *dim, places, &mut condition)?);
        }
        let Some(condition) = condition else {
            return self.value(input, &moved);
        };
        let fill = self.constant(view.fill);
        if self.b.index_constant(condition) == Some(0) {
            return Ok(fill);
        }
        self.b.begin_if(condition);
        self.push_scope();
        let value = self.value(input, &moved);
        self.pop_scope();
        let value = value?;
        Ok(self.b.end_if(&[(value, fill)])[0])
    }

    /// The position along one axis of an operand, adding to `condition` what makes it valid.
    pub(super) fn moved(
        &mut self,
        node: NodeId,
        axis: &AxisIndex,
        dim: Dim,
        places: &[Place],
        condition: &mut Option<Value>,
    ) -> Result<Place, LowerError> {
        let (numerator, divisor) = match index(axis, places) {
            Indexed::Lane => return Ok(Position::Lane),
            Indexed::Mixed => return self.unsupported(node, "a shift along the batch"),
            Indexed::At { numerator, divisor } => (numerator, divisor),
        };
        let Some((position, remainder)) = self.divide(&numerator, divisor) else {
            return self.not_affine(node);
        };
        if remainder.as_constant() != Some(0) {
            if self.step_along(&remainder) != 0 || self.step_in_row(&remainder) != 0 {
                // The condition would be of the first lane alone.
                return Err(LowerError::NotVector);
            }
            let whole = self.b.condition(IntOp::Equal, &form(&remainder), &0.into());
            self.require(whole, condition)?;
        }
        self.within(&position, dim, condition)?;
        Ok(Position::At(position))
    }

    fn within(
        &mut self,
        position: &Affine<Value>,
        dim: Dim,
        condition: &mut Option<Value>,
    ) -> Result<(), LowerError> {
        if dim.is_dynamic() && position.terms.len() == 1 && position.offset == 0 {
            return Ok(());
        }
        let extent = self.extent(dim);
        let low = self
            .b
            .condition(IntOp::LessEqual, &0.into(), &form(position));
        let high = self
            .b
            .condition(IntOp::Less, &form(position), &form(&extent));
        if self.step_along(position) != 0 || self.step_in_row(position) != 0 {
            // Conditions are of the first lane alone.
            return match self.whole_vector_within(position, dim) {
                true => Ok(()),
                false => Err(LowerError::NotVector),
            };
        }
        self.require(low, condition)?;
        self.require(high, condition)
    }

    /// Whether every lane is on an axis: the first, and the last that counts on from it.
    fn whole_vector_within(&self, position: &Affine<Value>, dim: Dim) -> bool {
        let along = self.step_along(position) * (self.elements_of_vector() - 1);
        let in_row = self.step_in_row(position) * (self.inner as i64 - 1);
        let separate = position.bounds(&|variable| self.range(variable));
        let together = self.b.range(&form(position));
        let low = [separate.map(|bounds| bounds.0), together.min];
        let high = [separate.map(|bounds| bounds.1), together.max];
        let low = low.into_iter().flatten().max();
        let high = high.into_iter().flatten().min();
        match (low.zip(high), dim.known()) {
            (Some((low, high)), Some(extent)) => {
                let before = along.min(0) + in_row.min(0);
                let after = along.max(0) + in_row.max(0);
                low + before >= 0 && high + after < extent
            }
            _ => false,
        }
    }

    fn require(&mut self, holds: Value, condition: &mut Option<Value>) -> Result<(), LowerError> {
        if self.b.index_constant(holds) == Some(1) {
            return Ok(());
        }
        *condition = Some(match *condition {
            None => holds,
            Some(other) => self.b.condition(IntOp::And, &other.into(), &holds.into()),
        });
        Ok(())
    }

    fn cast(&mut self, input: NodeId, to: DType, places: &[Place]) -> Result<Value, LowerError> {
        let from = self.cx.graph.nodes[input].ty.dtype;
        let value = self.value(input, places)?;
        let class = |dtype: DType| match dtype {
            DType::F32 | DType::Bf16 => 0,
            DType::I32 | DType::I64 | DType::U8 => 1,
            DType::Bool => 2,
        };
        Ok(match (class(from), class(to)) {
            (0, 1) => self.b.unary(VectorUnary::ToInt, value),
            (1, 0) => self.b.unary(VectorUnary::ToFloat, value),
            (2, 1) => self.b.unary(VectorUnary::MaskToInt, value),
            (1, 2) => self.b.unary(VectorUnary::IntToMask, value),
            (2, 0) => {
                let one = self.b.float(1.0, self.width);
                let zero = self.b.float(0.0, self.width);
                self.b.select(value, one, zero)
            }
            (0, 2) => {
                let zero = self.b.float(0.0, self.width);
                self.b.compare(Comparison::Ne, value, zero)
            }
            _ => value,
        })
    }

    /// Threefry of the element's logical index.
    fn random(
        &mut self,
        op: RandomOp,
        place: u32,
        shape: &[Dim],
        (seed, step): (NodeId, NodeId),
        places: &[Place],
    ) -> Result<Value, LowerError> {
        let (seed, step) = (self.value(seed, &[])?, self.value(step, &[])?);
        let number = self.logical_index(shape, places);
        let place = self.b.integer(place as i32, self.width);
        let words = [MathOp::Threefry0, MathOp::Threefry1]
            .map(|word| self.b.math(word, &[number, step, seed, place]));
        let unit = self.b.float(1.0 / 16_777_216.0, self.width);
        let fraction = |this: &mut Self, word: Value, add: i32| {
            let bits = this
                .b
                .define(crate::loops::Instruction::ShiftRight(word, 8), this.width);
            let add = this.b.integer(add, this.width);
            let bits = this.b.binary(VectorBinary::IntAdd, bits, add);
            let float = this.b.unary(VectorUnary::ToFloat, bits);
            this.b.binary(VectorBinary::Mul, float, unit)
        };
        if op == RandomOp::Uniform {
            return Ok(fraction(self, words[0], 0));
        }
        let (first, second) = (fraction(self, words[0], 1), fraction(self, words[1], 0));
        let log = self.b.math(MathOp::Log, &[first]);
        let minus_two = self.b.float(-2.0, self.width);
        let square = self.b.binary(VectorBinary::Mul, log, minus_two);
        let radius = self.b.unary(VectorUnary::Sqrt, square);
        let turn = self.b.float(std::f32::consts::TAU, self.width);
        let angle = self.b.binary(VectorBinary::Mul, second, turn);
        let cosine = self.b.math(MathOp::Cos, &[angle]);
        Ok(self.b.binary(VectorBinary::Mul, radius, cosine))
    }

    fn logical_index(&mut self, shape: &[Dim], places: &[Place]) -> Value {
        let mut at = Affine::constant(0);
        let mut step = 0;
        for (dim, place) in shape.iter().zip(places) {
            let extent = dim.known().unwrap_or(1);
            let mut next = Affine::constant(0);
            next.add_scaled(&at, extent);
            step *= extent;
            match place {
                Position::At(position) => next.add_scaled(position, 1),
                Position::Lane => {
                    let first = self.first_sample();
                    next.add_scaled(&first, 1);
                    step += 1;
                }
            }
            at = next;
        }
        let elements = self.step_along(&at);
        self.counted(&at, (step, elements))
    }

    /// The lanes of the block that hold real samples.
    pub(super) fn valid_mask(&mut self) -> Value {
        let valid = self.scalar(ScalarArgument::ValidLanes);
        let first = self.first_lane.clone();
        let lane = self.counted(&first, (1, 0));
        let valid = self.b.index_to_int(valid, self.width);
        self.b.compare(Comparison::Lt, lane, valid)
    }
}
