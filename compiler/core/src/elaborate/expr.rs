//! Expressions.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::numbers;
use super::stages;
use super::value::{GivenStatic, InstanceRef, Value};
use crate::graph::Dim;
use dlm_grammar::ast::{
    Argument, BinaryOp, BracketItem, BracketKind, Expr, ExprBranch, ExprKind, Ident, UnaryOp,
};
use dlm_grammar::{Diagnostic, Span, suggest};

/// The longest list that a range makes.
const LONGEST_RANGE: i64 = 100_000;

/// What naming a block means at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mention<'a> {
    /// A fresh instance, counted among the unnamed ones.
    Fresh,
    /// A fresh instance of that name: the whole value of a `let`.
    Named(&'a str),
    /// The block itself: a static.
    Recipe,
}

/// One argument of a call, evaluated.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The parameter's name, where it is given by name.
    pub name: Option<Ident>,
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

impl Elaborator<'_> {
    /// The value of an expression; a block becomes a fresh instance.
    pub fn value(&mut self, expr: &Expr) -> Checked<Value> {
        self.value_as(expr, Mention::Fresh)
    }

    /// The value of an expression in square brackets or at the top of a file; a block stays a recipe.
    pub fn static_value(&mut self, expr: &Expr) -> Checked<Value> {
        self.value_as(expr, Mention::Recipe)
    }

    /// The value of an expression, where naming a block means `mention`.
    pub fn value_as(&mut self, expr: &Expr, mention: Mention) -> Checked<Value> {
        let inner = match mention {
            Mention::Named(_) => Mention::Fresh,
            other => other,
        };
        match &expr.kind {
            ExprKind::Int(value) => Ok(Value::Int(*value)),
            ExprKind::Float(value) => Ok(Value::Float(*value)),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::String(text) => Ok(Value::text(text)),
            ExprKind::None => Ok(Value::None),
            ExprKind::Paren(inside) => self.value_as(inside, mention),
            ExprKind::Name(_) | ExprKind::Access { .. } | ExprKind::Bracket { .. } => {
                let value = self.head(expr)?;
                self.settle(value, expr.span, mention)
            }
            ExprKind::Call { callee, args } => self.call(callee, args, expr.span, mention),
            ExprKind::Tuple(items) => Ok(Value::Tuple(self.values(items, inner)?.into())),
            ExprKind::List(items) => Ok(Value::List(self.values(items, inner)?.into())),
            ExprKind::If {
                branches,
                otherwise,
            } => self.choose(branches, otherwise, mention),
            ExprKind::Unary { op, operand, .. } => self.unary(*op, operand, expr.span),
            ExprKind::Binary { op, left, right } => self.binary(op.kind, left, right, expr.span),
            ExprKind::Range { start, end } => self.range(start, end),
            ExprKind::Pipe { source, stages } => self.pipe(source, stages, expr.span),
        }
    }

    /// Every value, or poison if any is; all are evaluated, so that all their mistakes are reported.
    fn values(&mut self, exprs: &[Expr], mention: Mention) -> Checked<Vec<Value>> {
        let values: Vec<Checked<Value>> = exprs
            .iter()
            .map(|expr| self.value_as(expr, mention))
            .collect();
        values.into_iter().collect()
    }

    /// A name, a member or brackets, before a block is made an instance.
    pub fn head(&mut self, expr: &Expr) -> Checked<Value> {
        match &expr.kind {
            ExprKind::Name(name) => self.lookup(name, expr.span),
            ExprKind::Paren(inside) => self.head(inside),
            ExprKind::Access { base, name } => {
                let value = self.head(base)?;
                self.member(value, base.span, name)
            }
            ExprKind::Bracket { base, items } => {
                let value = self.head(base)?;
                self.bracket(value, base, items, expr.span)
            }
            _ => self.value(expr),
        }
    }

    /// A block becomes an instance where that is meant, a schedule its value.
    fn settle(&mut self, value: Value, span: Span, mention: Mention) -> Checked<Value> {
        match &value {
            Value::Recipe(recipe) => match mention {
                Mention::Recipe => Ok(value),
                Mention::Fresh => self.instance(recipe.clone(), None, span),
                Mention::Named(name) => self.instance(recipe.clone(), Some(name), span),
            },
            Value::Function(function) if self.is_schedule(function) => {
                self.call_function(&function.clone(), Vec::new(), span)
            }
            Value::Intrinsic(primitive) if primitive.bracketed && primitive.intrinsic.makes => {
                self.call_intrinsic(&primitive.clone(), Vec::new(), span)
            }
            _ => Ok(value),
        }
    }

    fn bracket(
        &mut self,
        base: Value,
        base_expr: &Expr,
        items: &[BracketItem],
        span: Span,
    ) -> Checked<Value> {
        match base {
            Value::Function(applied) => {
                Ok(Value::Function(self.with_statics(&applied, items)?.into()))
            }
            Value::Recipe(applied) => Ok(Value::Recipe(self.with_statics(&applied, items)?.into())),
            Value::Rule(applied) => Ok(Value::Rule(self.with_statics(&applied, items)?.into())),
            Value::Intrinsic(primitive) if primitive.bracketed && primitive.intrinsic.makes => {
                let made = self.call_intrinsic(&primitive, Vec::new(), base_expr.span)?;
                self.index(made, base_expr.span, items, span)
            }
            Value::Intrinsic(primitive) => {
                let mut primitive = (*primitive).clone();
                primitive.statics.extend(self.given_statics(items)?);
                primitive.bracketed = true;
                Ok(Value::Intrinsic(primitive.into()))
            }
            Value::Instance(instance) => self.instance_mode(instance, items, span),
            Value::Tensor(_) | Value::List(_) | Value::Tuple(_) | Value::Results(_) => {
                self.index(base, base_expr.span, items, span)
            }
            other => {
                let message = format!("{} takes no brackets", other.kind());
                let diagnostic = error(codes::NOT_CALLABLE, base_expr.span, message);
                let diagnostic = self.with_origin(diagnostic, base_expr);
                Err(self.report(diagnostic))
            }
        }
    }

    /// A mistake about what a name of this body is, with where it is bound: it may hide what is meant.
    fn with_origin(&self, diagnostic: Diagnostic, expr: &Expr) -> Diagnostic {
        let Some(name) = expr.unparenthesized().as_name() else {
            return diagnostic;
        };
        let Some(binding) = self.frame().scopes.find(name) else {
            return diagnostic;
        };
        let hidden = self.is_outside(name);
        let diagnostic = diagnostic.label(binding.span, format!("`{name}` is this"));
        match hidden {
            true => diagnostic.help(format!(
                "it hides the other `{name}`: give one of them another name"
            )),
            false => diagnostic,
        }
    }

    fn with_statics(
        &mut self,
        applied: &super::value::Applied,
        items: &[BracketItem],
    ) -> Checked<super::value::Applied> {
        let mut applied = applied.clone();
        applied.statics.extend(self.given_statics(items)?);
        Ok(applied)
    }

    /// The values in square brackets, evaluated where they stand.
    pub fn given_statics(&mut self, items: &[BracketItem]) -> Checked<Vec<GivenStatic>> {
        let given: Vec<Checked<GivenStatic>> =
            items.iter().map(|item| self.given_static(item)).collect();
        given.into_iter().collect()
    }

    fn given_static(&mut self, item: &BracketItem) -> Checked<GivenStatic> {
        let (name, expr) = match &item.kind {
            BracketKind::Value(expr) => (None, expr),
            BracketKind::Named { name, value } => (Some(name.name.clone()), value),
            BracketKind::Slice { .. } | BracketKind::Rest => {
                let message = "a slice stands where a compile-time value is expected";
                return Err(self.report(
                    error(codes::NOT_A_TENSOR, item.span, message)
                        .help("only tensors and lists are sliced"),
                ));
            }
        };
        let value = self.static_value(expr)?;
        Ok(GivenStatic {
            name,
            value,
            span: item.span,
        })
    }

    /// `net[training=false]`
    fn instance_mode(
        &mut self,
        instance: InstanceRef,
        items: &[BracketItem],
        span: Span,
    ) -> Checked<Value> {
        if let [item] = items
            && let BracketKind::Named { name, value } = &item.kind
            && name.name == "training"
        {
            let mode = self.static_value(value)?;
            if let Some(training) = mode.as_bool() {
                return Ok(Value::Instance(InstanceRef {
                    id: instance.id,
                    training: Some(training),
                }));
            }
        }
        let message = "an instance takes no statics but `training=false` or `training=true`";
        Err(self.report(
            error(codes::UNKNOWN_STATIC, span, message)
                .help("statics are given where the instance is made"),
        ))
    }

    fn call(
        &mut self,
        callee: &Expr,
        args: &[Argument],
        span: Span,
        mention: Mention,
    ) -> Checked<Value> {
        let value = self.callee(callee);
        if let Ok(Value::Rule(rule)) = &value {
            return self.optimizer(&rule.clone(), args, span, mention);
        }
        let given = self.arguments(args);
        let (value, given) = (value?, given?);
        self.statics_in_parentheses(callee, &value, &given)?;
        self.apply(value, given, callee.span, span)
    }

    /// What is called: as a value, except that a schedule or a tensor maker is not called yet.
    fn callee(&mut self, callee: &Expr) -> Checked<Value> {
        match &callee.unparenthesized().kind {
            ExprKind::Name(_) | ExprKind::Access { .. } | ExprKind::Bracket { .. } => {
                let value = self.head(callee)?;
                match value {
                    Value::Recipe(_) => self.settle(value, callee.span, Mention::Fresh),
                    _ => Ok(value),
                }
            }
            _ => self.value(callee),
        }
    }

    fn arguments(&mut self, args: &[Argument]) -> Checked<Vec<Given>> {
        let given: Vec<Checked<Given>> = args
            .iter()
            .map(|argument| {
                let value = self.value(&argument.value)?;
                Ok(Given {
                    name: argument.name.clone(),
                    value,
                    span: argument.value.span,
                })
            })
            .collect();
        given.into_iter().collect()
    }

    /// The result of calling a value.
    pub fn apply(
        &mut self,
        callee: Value,
        given: Vec<Given>,
        callee_span: Span,
        span: Span,
    ) -> Checked<Value> {
        match callee {
            Value::Function(function) => self.call_function(&function, given, span),
            Value::Instance(instance) => self.call_instance(instance, given, span),
            Value::Intrinsic(primitive) => self.call_intrinsic(&primitive, given, span),
            other => {
                let message = format!("{} cannot be called", other.kind());
                Err(self.report(error(codes::NOT_CALLABLE, callee_span, message)))
            }
        }
    }

    fn pipe(&mut self, source: &Expr, stages: &[Expr], span: Span) -> Checked<Value> {
        let mut value = self.value(source);
        let mut from = source.span;
        for stage in stages {
            if let Ok(Value::Data(_)) = &value {
                return self.data_pipeline(value?, stages);
            }
            if value.is_err() && is_data_stage(stage) {
                // The source was meant to be data; what its stages are is not known here.
                continue;
            }
            let callee = self.callee(stage);
            let argument = value.map(|value| Given {
                name: None,
                value,
                span: from,
            });
            value = match (callee, argument) {
                (Ok(callee), Ok(argument)) => {
                    self.apply(callee, vec![argument], stage.span, stage.span)
                }
                (Err(poison), _) | (_, Err(poison)) => Err(poison),
            };
            from = stage.span;
        }
        self.at(span);
        value
    }

    fn choose(
        &mut self,
        branches: &[ExprBranch],
        otherwise: &Expr,
        mention: Mention,
    ) -> Checked<Value> {
        let Some((first, rest)) = branches.split_first() else {
            return self.value_as(otherwise, mention);
        };
        match self.value(&first.condition)? {
            Value::Bool(true) => self.value_as(&first.value, mention),
            Value::Bool(false) => self.choose(rest, otherwise, mention),
            condition => {
                let condition = self.scalar_condition(condition, first.condition.span)?;
                let taken = self.value(&first.value);
                let other = self.choose(rest, otherwise, Mention::Fresh);
                self.select(condition, &taken?, &other?, first.value.span)
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, span: Span) -> Checked<Value> {
        let value = self.value(operand)?;
        match op {
            UnaryOp::Not => match value {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                other => self.logical_not(other, operand.span, span),
            },
            UnaryOp::Negate => match numbers::negate(&value) {
                Some(folded) => self.folded(folded, span),
                None => self.negate(value, operand.span, span),
            },
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Checked<Value> {
        let a = self.value(left);
        let decided = match (&a, op) {
            (Ok(Value::Bool(false)), BinaryOp::And) => Some(false),
            (Ok(Value::Bool(true)), BinaryOp::Or) => Some(true),
            _ => None,
        };
        if let Some(value) = decided {
            return Ok(Value::Bool(value));
        }
        let b = self.value(right);
        self.operate(op, &a?, &b?, [left.span, right.span], span)
    }

    /// A folded result, or the report that there is none.
    pub fn folded(&mut self, folded: numbers::Folded, span: Span) -> Checked<Value> {
        folded.map_err(|message| self.report(error(codes::ARITHMETIC, span, message)))
    }

    fn range(&mut self, start: &Expr, end: &Expr) -> Checked<Value> {
        let (first, last) = self.range_bounds(start, end)?;
        if last.saturating_sub(first) > LONGEST_RANGE {
            let message = format!("a range of {} numbers", last.saturating_sub(first));
            return Err(self.report(error(codes::LARGE, start.span.to(end.span), message)));
        }
        Ok(Value::list((first..last).map(Value::Int).collect()))
    }

    /// The ends of a range.
    pub fn range_bounds(&mut self, start: &Expr, end: &Expr) -> Checked<(i64, i64)> {
        let first = self.known_int(start);
        let last = self.known_int(end);
        Ok((first?, last?))
    }

    /// A whole number that is known when the program is compiled.
    pub fn known_int(&mut self, expr: &Expr) -> Checked<i64> {
        let value = self.value(expr)?;
        self.whole(&value, expr.span)
    }

    fn whole(&mut self, value: &Value, span: Span) -> Checked<i64> {
        value.as_int().ok_or_else(|| {
            let message = format!("a whole number is needed, this is {}", value.described());
            let mut diagnostic = error(codes::NOT_COMPILE_TIME, span, message);
            if matches!(value, Value::Tensor(_)) {
                diagnostic = diagnostic.help("it must be known when the program is compiled");
            }
            self.report(diagnostic)
        })
    }

    /// A whole number that may depend on the batch size.
    pub fn known_extent(&mut self, expr: &Expr) -> Checked<Dim> {
        let value = self.value(expr)?;
        if let Value::Extent(dim) = value {
            return Ok(dim);
        }
        self.whole(&value, expr.span).map(Dim::fixed)
    }

    /// `base.name`
    fn member(&mut self, base: Value, base_span: Span, name: &Ident) -> Checked<Value> {
        match &base {
            Value::Module(file) => match self.item(*file, &name.name) {
                Some(item) => self.item_meaning(item, *file, &name.name, name.span),
                None => {
                    let items = self.files[*file].items.keys().map(String::as_str);
                    let near = suggest(&name.name, items).map(str::to_owned);
                    let message = format!("the imported file has no `{}`", name.name);
                    Err(self.report(
                        error(codes::UNKNOWN_MEMBER, name.span, message)
                            .did_you_mean(near.as_deref()),
                    ))
                }
            },
            Value::Instance(instance) => self.instance_member(*instance, name),
            Value::Data(data) => self.data_member(&data.clone(), name),
            Value::Tensor(_) if name.name == "shape" => {
                let node = self.tensor_of(&base, base_span)?;
                let shape = self.type_of(node).shape.clone();
                Ok(Value::list(
                    shape.into_iter().map(Value::dimension).collect(),
                ))
            }
            other => {
                let message = format!("{} has no `.{}`", other.kind(), name.name);
                let mut diagnostic = error(codes::UNKNOWN_MEMBER, name.span, message);
                if matches!(other, Value::Tensor(_)) {
                    diagnostic = self.member_here(diagnostic, base_span, &name.name);
                }
                Err(self.report(diagnostic))
            }
        }
    }
}

/// Whether a pipeline's stage has the name of a stage of data.
fn is_data_stage(stage: &Expr) -> bool {
    let base = match &stage.unparenthesized().kind {
        ExprKind::Bracket { base, .. } => base,
        _ => stage,
    };
    base.as_name()
        .is_some_and(|name| stages::find(name).is_some())
}
