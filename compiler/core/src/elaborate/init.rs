//! Initial values: a graph of their own, which depends on the seed and on paths alone.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind, known_shape};
use super::diagnose::{Checked, error};
use super::statement::Flow;
use super::value::{Applied, Value};
use crate::graph::{DType, InputKind, NodeId, OutputKind, TensorType};
use dlm_grammar::Span;
use dlm_grammar::ast::{Expr, StaticType};

impl Elaborator<'_> {
    /// The initial value of a parameter or state, as a node of the graph of initial values.
    pub fn initial_value(&mut self, path: &str, ty: &TensorType, init: &Expr) -> Checked<NodeId> {
        let owner = self.frame().random_owner.clone();
        self.frame_mut().random_owner = format!("init:{path}");
        let value = self.in_init_graph(|this| {
            let value = this.static_value(init)?;
            this.filled(value, ty, init.span)
        });
        self.frame_mut().random_owner = owner;
        value
    }

    /// Does something with the graph of initial values as the graph under construction.
    fn in_init_graph<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> T {
        std::mem::swap(&mut self.unit, &mut self.init);
        let result = action(self);
        std::mem::swap(&mut self.unit, &mut self.init);
        result
    }

    /// Notes an initial value as an output of the graph of initial values.
    pub fn store_initial(&mut self, path: &str, kind: InputKind, node: NodeId) {
        let kind = match kind {
            InputKind::State => OutputKind::State,
            _ => OutputKind::Parameter,
        };
        self.init.emitter.graph.output(kind, path, node);
    }

    /// An initial value for a state that the elaborator itself makes.
    pub fn zero_state(&mut self, path: &str, ty: &TensorType) {
        let node = self.in_init_graph(|this| {
            let zero = super::emit::zero_of(ty.dtype);
            this.emit().full(zero, &ty.shape)
        });
        self.store_initial(path, InputKind::State, node);
    }

    /// An average, which is f32, begins as the parameter does.
    pub fn copied_initial(&mut self, path: &str, of: &str) {
        let outputs = &self.init.emitter.graph.outputs;
        if let Some(node) = outputs
            .iter()
            .find(|output| output.name == of)
            .map(|output| output.node)
        {
            let wide = self.in_init_graph(|this| this.emit().cast(node, DType::F32));
            self.store_initial(path, InputKind::State, wide);
        }
    }

    /// A value as a tensor of that type: an init is asked for it, a number fills it, a tensor must fit it.
    fn filled(&mut self, value: Value, ty: &TensorType, span: Span) -> Checked<NodeId> {
        match &value {
            Value::Function(function) if self.returns(function, StaticType::Init) => {
                let value = self.run_init(&function.clone(), ty, span)?;
                self.filled(value, ty, span)
            }
            Value::Intrinsic(primitive) if primitive.intrinsic.is_init(primitive.bracketed) => {
                let number = if primitive.intrinsic.name == "ones" {
                    1
                } else {
                    0
                };
                self.filled(Value::Int(number), ty, span)
            }
            Value::Function(_) | Value::Intrinsic(_) => {
                let message = "this is a function, and an init or a constant tensor is needed";
                Err(self.report(error(codes::INIT, span, message)))
            }
            _ => self.fitting(value, ty, span),
        }
    }

    fn fitting(&mut self, value: Value, ty: &TensorType, span: Span) -> Checked<NodeId> {
        let node = self.tensor_like(&value, ty.dtype, span)?;
        let node = match ty.dtype {
            // What inits make is f32, and a parameter may be bf16.
            DType::Bf16 if self.type_of(node).dtype == DType::F32 => {
                self.emit().cast(node, ty.dtype)
            }
            _ => node,
        };
        let found = self.type_of(node).clone();
        if found == *ty {
            return Ok(node);
        }
        if found.rank() == 0 && found.dtype == ty.dtype {
            return Ok(self.emit().broadcast(node, &ty.shape));
        }
        let message = format!("the initial value is {found}, and {ty} is needed");
        Err(self.report(error(codes::INIT, span, message)))
    }

    /// What an init makes for a shape.
    fn run_init(&mut self, init: &Applied, ty: &TensorType, span: Span) -> Checked<Value> {
        self.guard_depth(init, span)?;
        let mut frame: Frame = self.callee_frame(init, FrameKind::Init, span);
        frame.shape = known_shape(&ty.shape);
        let handle = init.definition.clone();
        self.reached.insert(handle.get().name.span);
        let (result, _) = self.within(frame, |this| {
            let definition = handle.get();
            this.bind_statics(&definition.statics, &init.statics, definition)?;
            match this.run_body(&definition.body) {
                Flow::Return(values) => {
                    let values = values?;
                    Ok(values
                        .into_iter()
                        .next()
                        .map_or(Value::None, |value| value.0))
                }
                Flow::Failed(poison) => Err(poison),
                Flow::Next => {
                    let message = format!("`{}` ends without `return`", definition.name.name);
                    Err(this.report(error(codes::NO_RESULT, definition.name.span, message)))
                }
            }
        });
        result
    }
}
