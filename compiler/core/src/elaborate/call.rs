//! Calls: statics and arguments are bound to a signature, then the body runs.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::foreign::near_static;
use super::scope::BindingKind;
use super::statement::Flow;
use super::value::{Applied, GivenStatic, Value};
use dlm_grammar::ast::{DType, Definition, Param, StaticParam, StaticType, Type, TypeKind};
use dlm_grammar::{Span, suggest};

impl Elaborator<'_> {
    /// Whether a function's result is declared to be of that static type.
    pub fn returns(&self, applied: &Applied, kind: StaticType) -> bool {
        let results = &applied.definition.get().results;
        matches!(results.as_slice(), [Type { kind: TypeKind::Static(own), .. }] if *own == kind)
    }

    /// What kind of value this is, for messages: an init is not merely a function.
    pub fn kind(&self, value: &Value) -> &'static str {
        let is_init = match value {
            Value::Function(applied) => self.returns(applied, StaticType::Init),
            Value::Intrinsic(primitive) => primitive.intrinsic.is_init(primitive.bracketed),
            _ => false,
        };
        if is_init { "an init" } else { value.kind() }
    }

    /// Whether a function makes a schedule and needs no tensors.
    pub fn is_schedule(&self, applied: &Applied) -> bool {
        self.returns(applied, StaticType::Schedule) && applied.definition.get().params.is_empty()
    }

    /// Calls a `fn`.
    pub fn call_function(
        &mut self,
        function: &Applied,
        given: Vec<Given>,
        span: Span,
    ) -> Checked<Value> {
        self.guard_depth(function, span)?;
        let kind = if self.returns(function, StaticType::Schedule) {
            FrameKind::Schedule
        } else {
            FrameKind::Function
        };
        let frame = self.callee_frame(function, kind, span);
        self.run_definition(function, frame, given, span)
    }

    /// A body called from the innermost one, of which it takes training and the count of random values.
    pub fn callee_frame(&self, applied: &Applied, kind: FrameKind, span: Span) -> Frame {
        let caller = self.frame();
        let mut frame = Frame::new(kind, applied.definition.file, span);
        frame.definition = Some(applied.definition.clone());
        frame.training = caller.training;
        frame.random_owner = caller.random_owner.clone();
        frame
    }

    /// An error where calls nest too deeply, which only recursion makes them do.
    pub fn guard_depth(&mut self, applied: &Applied, span: Span) -> Checked<()> {
        if !self.too_deep() {
            return Ok(());
        }
        let message = format!(
            "calls nest too deeply here: `{}` leads to itself",
            applied.definition.name()
        );
        Err(self.report(error(codes::RECURSION, span, message)))
    }

    /// Binds what is given to the signature, runs the body and checks its results.
    pub fn run_definition(
        &mut self,
        applied: &Applied,
        frame: Frame,
        mut given: Vec<Given>,
        span: Span,
    ) -> Checked<Value> {
        let handle = applied.definition.clone();
        self.reached.insert(handle.get().name.span);
        let rounding = self.widened(applied, &mut given)?;
        let (result, _) = self.within(frame, |this| {
            let definition = handle.get();
            this.bind_statics(&definition.statics, &applied.statics, definition)?;
            this.bind_arguments(definition, given, span)?;
            this.note_call(applied);
            let flow = this.run_body(&definition.body);
            this.results(definition, flow)
        });
        Ok(self.rounded(rounding, result?))
    }

    /// Binds the statics of a signature in the innermost body.
    pub fn bind_statics(
        &mut self,
        params: &[StaticParam],
        given: &[GivenStatic],
        definition: &Definition,
    ) -> Checked<()> {
        let mut failed = self.check_given(params, given, definition).err();
        for (position, param) in params.iter().enumerate() {
            let value = self.static_for(param, position, given);
            if let Err(poison) = value {
                failed = Some(poison);
            }
            self.frame_mut().scopes.bind(
                &param.name.name,
                value,
                BindingKind::Static,
                param.name.span,
            );
        }
        failed.map_or(Ok(()), Err)
    }

    fn static_for(
        &mut self,
        param: &StaticParam,
        position: usize,
        given: &[GivenStatic],
    ) -> Checked<Value> {
        let by_name = given
            .iter()
            .find(|given| given.name.as_deref() == Some(&param.name.name));
        let by_position = given
            .iter()
            .filter(|given| given.name.is_none())
            .nth(position);
        if let Some(found) = by_name.or(by_position) {
            let place = (param.name.name.clone(), found.span);
            self.frame_mut().given.push(place);
            return self.coerce_static(found.value.clone(), param, found.span);
        }
        match &param.default {
            Some(default) => {
                let value = self.static_value(default)?;
                self.coerce_static(value, param, default.span)
            }
            None => {
                let message = format!("`{}` has no value", param.name.name);
                let call = self.frame().call;
                Err(self.report(
                    error(codes::MISSING_STATIC, call, message)
                        .label(param.span, "declared here, without a default"),
                ))
            }
        }
    }

    /// Errors for statics that the signature has not, and those given twice.
    fn check_given(
        &mut self,
        params: &[StaticParam],
        given: &[GivenStatic],
        definition: &Definition,
    ) -> Checked<()> {
        let mut failed = Ok(());
        let positional = given.iter().filter(|given| given.name.is_none()).count();
        if let Some(extra) = given
            .iter()
            .filter(|given| given.name.is_none())
            .nth(params.len())
        {
            let message = format!(
                "`{}` takes {} in square brackets, not {positional}",
                definition.name.name,
                counted(params.len(), "value")
            );
            failed = Err(self.report(error(codes::TOO_MANY_STATICS, extra.span, message)));
        }
        for (index, one) in given.iter().enumerate() {
            let Some(name) = &one.name else { continue };
            let position = params.iter().position(|param| param.name.name == *name);
            let Some(position) = position else {
                let names = params.iter().map(|param| param.name.name.as_str());
                let near = near_static(name, names);
                let message = format!(
                    "`{}` has no `{name}` in square brackets",
                    definition.name.name
                );
                failed = Err(self.report(
                    error(codes::UNKNOWN_STATIC, one.span, message).did_you_mean(near.as_deref()),
                ));
                continue;
            };
            let again = given[..index]
                .iter()
                .any(|other| other.name.as_ref() == Some(name));
            if again || position < positional {
                let message = format!("`{name}` is given twice");
                failed = Err(self.report(error(codes::TWICE_GIVEN, one.span, message)));
            }
        }
        failed
    }

    /// The value as the declared type wants it.
    pub fn coerce_static(
        &mut self,
        value: Value,
        param: &StaticParam,
        span: Span,
    ) -> Checked<Value> {
        let Some(ty) = &param.ty else {
            return Ok(value);
        };
        if value.is_none() && param.default.as_ref().is_some_and(is_none) {
            return Ok(value);
        }
        if let Some(value) = self.as_declared(&value, &ty.kind) {
            return Ok(value);
        }
        let message = format!(
            "`{}` is {}, and this is {}",
            param.name.name,
            type_name(&ty.kind),
            value.described()
        );
        let mut diagnostic = error(codes::STATIC_TYPE, span, message);
        let wants_function = matches!(ty.kind, TypeKind::Static(StaticType::Fn));
        if wants_function && matches!(value, Value::Recipe(_) | Value::Instance(_)) {
            diagnostic = diagnostic
                .help("a block owns parameters; a function owns none, and its name begins in lower case: `relu`");
        }
        if matches!(value, Value::Tensor(_)) {
            diagnostic = diagnostic
                .help("what stands in square brackets is known when the program is compiled");
        }
        Err(self.report(diagnostic))
    }

    /// The value, if it is of that static type.
    fn as_declared(&mut self, value: &Value, ty: &TypeKind) -> Option<Value> {
        match ty {
            TypeKind::Static(kind) => self.fits_static(value, *kind),
            TypeKind::Tensor {
                dtype: DType::Bool,
                dims: None,
            } => value.as_bool().map(Value::Bool),
            TypeKind::Tensor { .. } => value.holds_tensor().then(|| value.clone()),
            TypeKind::List(element) => {
                let Value::List(items) = value else {
                    return None;
                };
                let items: Option<Vec<Value>> = items
                    .iter()
                    .map(|item| self.as_declared(item, &element.kind))
                    .collect();
                items.map(Value::list)
            }
            TypeKind::Tuple(elements) => {
                let items = value
                    .as_elements()
                    .filter(|items| items.len() == elements.len())?;
                let items: Option<Vec<Value>> = items
                    .iter()
                    .zip(elements)
                    .map(|(item, element)| self.as_declared(item, &element.kind))
                    .collect();
                items.map(|items| Value::Tuple(items.into()))
            }
        }
    }

    fn fits_static(&mut self, value: &Value, kind: StaticType) -> Option<Value> {
        let fits = match kind {
            StaticType::Int => return value.as_dim().map(Value::dimension),
            StaticType::Float => value.is_number() || matches!(value, Value::Extent(_)),
            StaticType::Bool => value.as_bool().is_some(),
            StaticType::Str => value.as_text().is_some(),
            StaticType::Fn => matches!(value, Value::Function(_) | Value::Intrinsic(_)),
            StaticType::Block => matches!(value, Value::Recipe(_) | Value::Instance(_)),
            StaticType::Init => match value {
                Value::Function(applied) => self.returns(applied, StaticType::Init),
                Value::Intrinsic(primitive) => primitive.intrinsic.is_init(primitive.bracketed),
                _ => false,
            },
            StaticType::Schedule => match value {
                Value::Tensor(tensor) => {
                    tensor.graph == self.unit.number && self.type_of(tensor.node).rank() == 0
                }
                other => other.as_float().is_some(),
            },
            StaticType::Metric => matches!(value, Value::Function(_)),
        };
        fits.then(|| value.clone())
    }

    /// Binds tensors to the parameters of a signature; types are unified, names of dimensions bound.
    fn bind_arguments(
        &mut self,
        definition: &Definition,
        given: Vec<Given>,
        span: Span,
    ) -> Checked<()> {
        let slots = self.place_arguments(definition, given, span)?;
        let mut failed = Ok(());
        let mut bound = Vec::new();
        for (param, given) in definition.params.iter().zip(slots) {
            let value = match given {
                Some(given) => Ok((given.value, given.span)),
                None => self
                    .default_argument(param, span)
                    .map(|value| (value, span)),
            };
            match value {
                Ok((value, at)) => bound.push((param, value, at)),
                Err(poison) => failed = Err(poison),
            }
        }
        failed?;
        self.unify_arguments(&bound)?;
        for (param, value, at) in bound {
            self.frame_mut()
                .scopes
                .bind(&param.name.name, Ok(value), BindingKind::Argument, at);
        }
        Ok(())
    }

    fn default_argument(&mut self, param: &Param, span: Span) -> Checked<Value> {
        match &param.default {
            Some(default) => self.static_value(default),
            None => {
                let message = format!("the argument `{}` is missing", param.name.name);
                Err(self.report(
                    error(codes::MISSING_ARGUMENT, span, message)
                        .label(param.span, "declared here"),
                ))
            }
        }
    }

    /// Which argument goes to which parameter.
    fn place_arguments(
        &mut self,
        definition: &Definition,
        given: Vec<Given>,
        span: Span,
    ) -> Checked<Vec<Option<Given>>> {
        let names: Vec<&str> = definition
            .params
            .iter()
            .map(|param| param.name.name.as_str())
            .collect();
        self.place_by_name(&definition.name.name, &names, given, span)
    }

    /// As `place_arguments`, for parameters of those names.
    pub fn place_by_name(
        &mut self,
        callee: &str,
        names: &[&str],
        given: Vec<Given>,
        span: Span,
    ) -> Checked<Vec<Option<Given>>> {
        let mut slots: Vec<Option<Given>> = vec![None; names.len()];
        let mut next = 0;
        let total = given.len();
        for argument in given {
            let slot = match &argument.name {
                None => {
                    next += 1;
                    next - 1
                }
                Some(name) => match names.iter().position(|own| *own == name.name) {
                    Some(slot) => slot,
                    None => {
                        let near = suggest(&name.name, names.iter().copied()).map(str::to_owned);
                        let message = format!("`{callee}` has no argument `{}`", name.name);
                        return Err(self.report(
                            error(codes::UNKNOWN_ARGUMENT, name.span, message)
                                .did_you_mean(near.as_deref()),
                        ));
                    }
                },
            };
            if slot >= names.len() {
                let message = format!(
                    "`{callee}` takes {}, not {total}",
                    counted(names.len(), "tensor")
                );
                return Err(self.report(error(codes::TOO_MANY_ARGUMENTS, span, message)));
            }
            if slots[slot].is_some() {
                let message = format!("`{}` is given twice", names[slot]);
                return Err(self.report(error(codes::TWICE_GIVEN, argument.span, message)));
            }
            slots[slot] = Some(argument);
        }
        Ok(slots)
    }

    /// The results of a body, checked against what is declared.
    fn results(&mut self, definition: &Definition, flow: Flow) -> Checked<Value> {
        let values = match flow {
            Flow::Return(values) => values?,
            Flow::Next => {
                let message = format!("`{}` ends without `return`", definition.name.name);
                return Err(self.report(error(codes::NO_RESULT, definition.name.span, message)));
            }
            Flow::Failed(poison) => return Err(poison),
        };
        let declared = &definition.results;
        if !declared.is_empty() && declared.len() != values.len() {
            let message = format!(
                "`{}` declares {} and returns {}",
                definition.name.name,
                counted(declared.len(), "result"),
                values.len()
            );
            let at = values.first().map_or(definition.name.span, |value| value.1);
            return Err(self.report(error(codes::RESULT_COUNT, at, message)));
        }
        let mut failed = Ok(());
        let mut results = Vec::new();
        for (index, (value, at)) in values.into_iter().enumerate() {
            match self.checked_result(declared.get(index), value, at) {
                Ok(value) => results.push(value),
                Err(poison) => failed = Err(poison),
            }
        }
        failed?;
        match results.len() {
            1 => Ok(results.swap_remove(0)),
            _ => Ok(Value::Results(results.into())),
        }
    }

    fn checked_result(&mut self, ty: Option<&Type>, value: Value, at: Span) -> Checked<Value> {
        match ty {
            Some(ty) if matches!(ty.kind, TypeKind::Tensor { .. }) => {
                self.unify_result(ty, &value, at)?;
                Ok(value)
            }
            _ => Ok(value),
        }
    }
}

/// `no tensors`, `1 tensor`, `2 tensors`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn is_none(expr: &dlm_grammar::ast::Expr) -> bool {
    matches!(expr.kind, dlm_grammar::ast::ExprKind::None)
}

/// A static type as people say it.
fn type_name(ty: &TypeKind) -> String {
    match ty {
        TypeKind::Static(StaticType::Int) => "an int".to_owned(),
        TypeKind::Static(StaticType::Init) => "an init".to_owned(),
        TypeKind::Static(StaticType::Fn) => "a function".to_owned(),
        TypeKind::Static(kind) => format!("a {}", kind.word()),
        TypeKind::Tensor { dtype, dims: None } => format!("a {}", dtype.word()),
        TypeKind::Tensor { .. } => "a tensor".to_owned(),
        TypeKind::List(_) => "a list".to_owned(),
        TypeKind::Tuple(elements) => format!("a tuple of {}", elements.len()),
    }
}
