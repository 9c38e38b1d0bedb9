//! Names of bodies that no call reached: their shapes are not known, and their names can be checked all the same.

use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::Poison;
use super::files::{DefinitionHandle, ItemRef};
use super::intrinsics;
use super::scope::BindingKind;
use dlm_grammar::Span;
use dlm_grammar::ast::{
    Body, BracketKind, Definition, DefinitionKind, DimKind, Expr, ExprKind, Ident, ItemKind, Stmt,
    StmtKind, Type, TypeKind,
};

/// Names that some kind of body gives.
const BUILT_IN: &[&str] = &[
    "training", "iter", "epoch", "steps", "epochs", "shape", "fan_in", "fan_out", "t", "zip",
];

impl Elaborator<'_> {
    /// Checks the names of the main file's definitions whose bodies never ran.
    pub fn resolve_unreached(&mut self) {
        let tree = self.files[0].tree.clone();
        for item in &tree.items {
            let ItemKind::Definition(definition) = &item.kind else {
                continue;
            };
            let Some(ItemRef::Definition(handle)) = self.item(0, &definition.name.name) else {
                continue;
            };
            if !self.reached.contains(&definition.name.span) {
                self.resolve_definition(&handle);
            }
        }
    }

    fn resolve_definition(&mut self, handle: &DefinitionHandle) {
        let definition = handle.get();
        let mut frame = Frame::new(FrameKind::File, handle.file, definition.name.span);
        frame.definition = Some(handle.clone());
        self.within(frame, |this| {
            for name in signature_names(definition) {
                this.know(&name, definition.name.span);
            }
            for default in definition
                .statics
                .iter()
                .filter_map(|param| param.default.as_ref())
            {
                this.resolve_expr(default);
            }
            this.resolve_body(&definition.body);
        });
    }

    fn know(&mut self, name: &str, span: Span) {
        self.frame_mut()
            .scopes
            .bind(name, Err(Poison), BindingKind::Let, span);
    }

    fn know_all(&mut self, names: &[Ident]) {
        for name in names {
            self.know(&name.name, name.span);
        }
    }

    fn resolve_body(&mut self, body: &Body) {
        let mark = self.frame().scopes.mark();
        for stmt in &body.statements {
            self.resolve_statement(stmt);
        }
        self.frame_mut().scopes.release(mark);
    }

    fn resolve_statement(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Let { names, value } => {
                self.resolve_expr(value);
                self.know_all(names);
            }
            StmtKind::Rebind { value, .. } | StmtKind::Update { value, .. } => {
                self.resolve_expr(value);
            }
            StmtKind::Param { name, init, .. } | StmtKind::State { name, init, .. } => {
                self.resolve_expr(init);
                self.know(&name.name, name.span);
            }
            StmtKind::Return { values } => values.iter().for_each(|value| self.resolve_expr(value)),
            StmtKind::For {
                names,
                iterable,
                body,
            } => {
                self.resolve_expr(iterable);
                let mark = self.frame().scopes.mark();
                self.know_all(names);
                self.resolve_body(body);
                self.frame_mut().scopes.release(mark);
            }
            StmtKind::If {
                branches,
                otherwise,
            } => {
                for branch in branches {
                    self.resolve_expr(&branch.condition);
                    self.resolve_body(&branch.body);
                }
                otherwise.iter().for_each(|body| self.resolve_body(body));
            }
            // These stand in a `train`, which is always run.
            StmtKind::Step { .. }
            | StmtKind::Eval { .. }
            | StmtKind::Minimize { .. }
            | StmtKind::Report { .. } => {}
        }
    }

    fn resolve_expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => self.resolve_name(name, expr.span),
            ExprKind::Paren(inside) => self.resolve_expr(inside),
            ExprKind::Access { base, .. } | ExprKind::Unary { operand: base, .. } => {
                self.resolve_expr(base);
            }
            ExprKind::Call { callee, args } => {
                self.resolve_expr(callee);
                args.iter()
                    .for_each(|argument| self.resolve_expr(&argument.value));
            }
            ExprKind::Bracket { base, items } => {
                self.resolve_expr(base);
                for item in items {
                    if let BracketKind::Value(value) | BracketKind::Named { value, .. } = &item.kind
                    {
                        self.resolve_expr(value);
                    }
                }
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                items.iter().for_each(|item| self.resolve_expr(item));
            }
            ExprKind::If {
                branches,
                otherwise,
            } => {
                for branch in branches {
                    self.resolve_expr(&branch.condition);
                    self.resolve_expr(&branch.value);
                }
                self.resolve_expr(otherwise);
            }
            ExprKind::Binary {
                left: a, right: b, ..
            }
            | ExprKind::Range { start: a, end: b } => {
                self.resolve_expr(a);
                self.resolve_expr(b);
            }
            ExprKind::Pipe { source, stages } => {
                self.resolve_expr(source);
                stages.iter().for_each(|stage| self.resolve_expr(stage));
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::String(_)
            | ExprKind::None => {}
        }
    }

    fn resolve_name(&mut self, name: &str, span: Span) {
        let file = self.frame().file;
        let known = self.frame().scopes.find(name).is_some()
            || BUILT_IN.contains(&name)
            || self.item(file, name).is_some()
            || self.library.defines(name)
            || intrinsics::find(name, false).is_some();
        if !known {
            self.unknown_name(name, span);
        }
    }
}

/// The names that a signature binds: statics, parameters, and every name in a type.
fn signature_names(definition: &Definition) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    names.extend(
        definition
            .statics
            .iter()
            .map(|param| param.name.name.clone()),
    );
    names.extend(
        definition
            .params
            .iter()
            .map(|param| param.name.name.clone()),
    );
    let types = definition
        .params
        .iter()
        .filter_map(|param| param.ty.as_ref());
    for ty in types.chain(&definition.results) {
        dimension_names(ty, &mut names);
    }
    if definition.kind == DefinitionKind::Optimizer {
        names.push("t".to_owned());
    }
    names
}

fn dimension_names(ty: &Type, names: &mut Vec<String>) {
    let TypeKind::Tensor {
        dims: Some(dims), ..
    } = &ty.kind
    else {
        return;
    };
    for dim in dims {
        if let DimKind::Size(size) = &dim.kind
            && let Some(name) = size.as_name()
        {
            names.push(name.to_owned());
        }
    }
}
