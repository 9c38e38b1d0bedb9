//! Types of signatures: names of dimensions are unified with what is passed, and each conflict names both sides.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::expr::Mention;
use super::files::ItemRef;
use super::scope::BindingKind;
use super::value::Value;
use crate::graph::{self, Dim, TensorType};
use dlm_grammar::Span;
use dlm_grammar::ast::{self, DimKind, Expr, Param, Type, TypeKind};

/// A dimension as a signature writes it.
enum Wanted {
    /// Known.
    Size(Dim),
    /// A name that nothing binds yet.
    Free(String),
    /// An expression with a name that nothing binds yet.
    Later,
}

impl Elaborator<'_> {
    /// Unifies the types of all parameters with what is passed: names first, then expressions over them.
    pub fn unify_arguments(&mut self, bound: &[(&Param, Value, Span)]) -> Checked<()> {
        let mut failed = Ok(());
        for last in [false, true] {
            for (param, value, at) in bound {
                let Some(ty) = &param.ty else { continue };
                if let Err(poison) = self.unify(ty, value, *at, &param.name.name, last) {
                    failed = Err(poison);
                }
            }
            failed?;
        }
        Ok(())
    }

    /// Unifies a declared result with what was computed.
    pub fn unify_result(&mut self, ty: &Type, value: &Value, at: Span) -> Checked<()> {
        self.unify(ty, value, at, "the result", false)?;
        self.unify(ty, value, at, "the result", true)
    }

    fn unify(&mut self, ty: &Type, value: &Value, at: Span, what: &str, last: bool) -> Checked<()> {
        let TypeKind::Tensor { dtype, dims } = &ty.kind else {
            return Ok(());
        };
        let dims = dims.as_deref().unwrap_or(&[]);
        match value {
            Value::None => Ok(()),
            Value::Bool(_)
            | Value::Int(_)
            | Value::Ratio(..)
            | Value::Float(_)
            | Value::Extent(_) => self.number_fits(value, *dtype, dims, at, what, ty.span),
            _ => {
                let node = self.tensor_of(value, at)?;
                let found = self.type_of(node).clone();
                self.element_type_fits(&found, *dtype, at, what, ty.span)?;
                self.unify_shape(dims, &found, at, what, ty.span, last)
            }
        }
    }

    fn number_fits(
        &mut self,
        value: &Value,
        dtype: ast::DType,
        dims: &[ast::Dim],
        at: Span,
        what: &str,
        declared: Span,
    ) -> Checked<()> {
        let fits = match dtype {
            ast::DType::Bool => matches!(value, Value::Bool(_)),
            ast::DType::F32 | ast::DType::Bf16 => !matches!(value, Value::Bool(_)),
            ast::DType::I32 | ast::DType::U8 => value.as_dim().is_some(),
        };
        if !fits {
            let message = format!("`{what}` is {}, and this is {}", dtype.word(), value.kind());
            return Err(self
                .report(error(codes::ELEMENT_TYPE, at, message).label(declared, "declared here")));
        }
        if dims.iter().any(|dim| matches!(dim.kind, DimKind::Size(_))) {
            let message = format!("`{what}` has dimensions, and a number has none");
            return Err(
                self.report(error(codes::RANK, at, message).label(declared, "declared here"))
            );
        }
        Ok(())
    }

    fn element_type_fits(
        &mut self,
        found: &TensorType,
        wanted: ast::DType,
        at: Span,
        what: &str,
        declared: Span,
    ) -> Checked<()> {
        if found.dtype == element_type(wanted) {
            return Ok(());
        }
        let message = format!("{what} must be {}, this is {}", wanted.word(), found.dtype);
        let mut diagnostic = error(codes::ELEMENT_TYPE, at, message)
            .here(found.to_string())
            .label(declared, "declared here");
        if !matches!(wanted, ast::DType::Bool) {
            diagnostic = diagnostic.help(format!("`{}(…)` converts", wanted.word()));
        }
        Err(self.report(diagnostic))
    }

    fn unify_shape(
        &mut self,
        dims: &[ast::Dim],
        found: &TensorType,
        at: Span,
        what: &str,
        declared: Span,
        last: bool,
    ) -> Checked<()> {
        let rest = dims
            .iter()
            .position(|dim| matches!(dim.kind, DimKind::Rest));
        let named = dims.len() - usize::from(rest.is_some());
        if found.rank() < named || (rest.is_none() && found.rank() > named) {
            let at_least = if rest.is_some() { "at least " } else { "" };
            let message = format!(
                "{what} has {at_least}{named} dimensions, this has {}",
                found.rank()
            );
            return Err(self.report(
                error(codes::RANK, at, message)
                    .here(found.to_string())
                    .label(declared, "declared here"),
            ));
        }
        let skipped = found.rank() - named;
        let mut failed = Ok(());
        for (position, dim) in dims.iter().enumerate() {
            let DimKind::Size(size) = &dim.kind else {
                continue;
            };
            let after_rest = rest.is_some_and(|rest| position > rest);
            let axis = if after_rest {
                position - 1 + skipped
            } else {
                position
            };
            if let Err(poison) = self.unify_dim(size, found, axis, at, last) {
                failed = Err(poison);
            }
        }
        failed
    }

    fn unify_dim(
        &mut self,
        size: &Expr,
        found: &TensorType,
        axis: usize,
        at: Span,
        last: bool,
    ) -> Checked<()> {
        let own = found.shape[axis];
        match self.wanted(size, last)? {
            Wanted::Later => Ok(()),
            Wanted::Free(name) => {
                let value = Ok(Value::dimension(own));
                self.frame_mut()
                    .scopes
                    .bind(&name, value, BindingKind::Dimension, at);
                Ok(())
            }
            Wanted::Size(wanted) if wanted == own => Ok(()),
            Wanted::Size(wanted) => Err(self.dimension_differs(size, wanted, found, axis, at)),
        }
    }

    fn dimension_differs(
        &mut self,
        size: &Expr,
        wanted: Dim,
        found: &TensorType,
        axis: usize,
        at: Span,
    ) -> super::diagnose::Poison {
        let own = found.shape[axis];
        let bound = size.as_name().and_then(|name| {
            let binding = self.frame().scopes.find(name)?;
            (binding.kind == BindingKind::Dimension).then(|| (name.to_owned(), binding.span))
        });
        let diagnostic = match bound {
            Some((name, origin)) if origin != at => error(
                codes::DIMENSION_CONFLICT,
                at,
                format!("`{name}` is {wanted} and {own}"),
            )
            .here(format!("{found}: here `{name}` is {own}"))
            .label(origin, format!("here `{name}` is {wanted}")),
            Some((name, _)) => error(
                codes::DIMENSION_CONFLICT,
                at,
                format!("`{name}` is {wanted} and {own}"),
            )
            .here(format!("{found}"))
            .label(size.span, format!("`{name}` stands for both")),
            None => error(
                codes::DIMENSION,
                at,
                format!("dimension {axis} is {own}, and {wanted} is declared"),
            )
            .here(found.to_string())
            .label(size.span, format!("{wanted}, declared here")),
        };
        self.report(diagnostic)
    }

    /// What a dimension of a signature asks for.
    fn wanted(&mut self, size: &Expr, last: bool) -> Checked<Wanted> {
        if let Some(name) = size.as_name()
            && !self.binds_dimension(name)
        {
            return Ok(Wanted::Free(name.to_owned()));
        }
        if let Some(free) = self.free_name(size) {
            if !last {
                return Ok(Wanted::Later);
            }
            let message = format!("nothing determines `{free}`");
            return Err(self.report(
                error(codes::UNBOUND_DIMENSION, size.span, message).help(
                    "a dimension variable is bound where it stands alone as the dimension of an argument",
                ),
            ));
        }
        self.size(size).map(Wanted::Size)
    }

    /// Whether a name counts as bound in a type: only statics, `let`s and dimension variables do.
    fn binds_dimension(&self, name: &str) -> bool {
        if let Some(binding) = self.frame().scopes.find(name) {
            return !matches!(binding.kind, BindingKind::Argument | BindingKind::Updated);
        }
        matches!(
            self.item(self.frame().file, name),
            Some(ItemRef::Let(..) | ItemRef::Broken)
        )
    }

    /// The first name in an expression that does not count as bound.
    fn free_name(&self, size: &Expr) -> Option<String> {
        use ast::ExprKind;
        match &size.kind {
            ExprKind::Name(name) => (!self.binds_dimension(name)).then(|| name.clone()),
            ExprKind::Paren(inside)
            | ExprKind::Unary {
                operand: inside, ..
            } => self.free_name(inside),
            ExprKind::Binary { left, right, .. } => {
                self.free_name(left).or_else(|| self.free_name(right))
            }
            _ => None,
        }
    }

    /// The value of a dimension whose names are bound.
    pub fn size(&mut self, size: &Expr) -> Checked<Dim> {
        let value = self.value_as(size, Mention::Recipe)?;
        self.size_of(&value, size.span)
    }

    /// A value as a dimension.
    pub fn size_of(&mut self, value: &Value, at: Span) -> Checked<Dim> {
        match value.as_dim() {
            Some(dim) if !super::emit::fits(&[dim]) => {
                let message = format!("a dimension of {dim} is too large");
                Err(self.report(error(codes::LARGE, at, message)))
            }
            Some(dim) if dim.is_dynamic() || dim.fixed >= 0 => Ok(dim),
            Some(dim) => {
                let message = format!("a dimension cannot be {dim}");
                Err(self.report(error(codes::SHAPE, at, message)))
            }
            None => {
                if matches!(value, Value::Counter(_)) {
                    self.sized_by_counter(at);
                }
                let found = value.described();
                let message = format!("a dimension must be a whole number, this is {found}");
                let mut diagnostic = error(codes::NOT_COMPILE_TIME, at, message);
                if matches!(value, Value::Tensor(_)) {
                    diagnostic = diagnostic.help("it must be known when the program is compiled");
                }
                Err(self.report(diagnostic))
            }
        }
    }

    /// The type of a `param` or `state`: every dimension bound, none dependent on the batch.
    pub fn fixed_type(&mut self, ty: &Type) -> Checked<TensorType> {
        let TypeKind::Tensor { dtype, dims } = &ty.kind else {
            let message = "parameters and states are tensors";
            return Err(self.report(error(codes::NOT_A_TENSOR, ty.span, message)));
        };
        let mut shape = Vec::new();
        for dim in dims.iter().flatten() {
            shape.push(self.fixed_dim(dim)?);
        }
        self.fits(&shape, ty.span)?;
        Ok(TensorType::new(element_type(*dtype), shape))
    }

    /// An error where a shape has more elements than sizes can be computed with.
    pub fn fits(&mut self, shape: &[Dim], at: Span) -> Checked<()> {
        if super::emit::fits(shape) {
            return Ok(());
        }
        let shown = TensorType::new(graph::DType::F32, shape);
        let message = format!("{shown} is too large a tensor");
        Err(self.report(error(codes::LARGE, at, message)))
    }

    fn fixed_dim(&mut self, dim: &ast::Dim) -> Checked<Dim> {
        let DimKind::Size(size) = &dim.kind else {
            let message = "a parameter's dimensions are all written out";
            return Err(self.report(error(codes::UNBOUND_DIMENSION, dim.span, message)));
        };
        if let Some(free) = self.free_name(size) {
            let message = format!("nothing determines `{free}`");
            return Err(self.report(error(codes::UNBOUND_DIMENSION, dim.span, message)));
        }
        let own = self.size(size)?;
        if own.is_dynamic() {
            let message = format!("the size {own} depends on the batch");
            return Err(self.report(
                error(codes::BATCH_DEPENDENT, dim.span, message)
                    .help("parameters and states have a fixed size"),
            ));
        }
        Ok(own)
    }
}

/// The element type of the graph for that of the language.
pub(super) fn element_type(dtype: ast::DType) -> graph::DType {
    match dtype {
        ast::DType::F32 => graph::DType::F32,
        ast::DType::Bf16 => graph::DType::Bf16,
        ast::DType::I32 => graph::DType::I32,
        ast::DType::U8 => graph::DType::U8,
        ast::DType::Bool => graph::DType::Bool,
    }
}
