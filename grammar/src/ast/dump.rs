//! The tree as text: one line for each item, statement and entry, without spans and comments.
//!
//! Expressions print as fully bracketed prefix forms, so that two programs have equal dumps exactly if
//! their trees are equal but for spans. This is what `dlmc dump --emit ast` shows.

use super::*;
use std::fmt::{self, Display, Write};

impl File {
    /// The tree as text; see the module's comment.
    pub fn dump(&self) -> String {
        let mut dump = Dump::default();
        for item in &self.items {
            dump.item(item);
        }
        dump.text
    }
}

impl Display for Expr {
    /// The fully bracketed prefix form, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expr(f, self)
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TypeKind::Tensor { dtype, dims: None } => f.write_str(dtype.word()),
            TypeKind::Tensor {
                dtype,
                dims: Some(dims),
            } => {
                write!(f, "{}[", dtype.word())?;
                write_separated(f, dims)?;
                f.write_char(']')
            }
            TypeKind::Static(ty) => f.write_str(ty.word()),
            TypeKind::List(element) => write!(f, "[{element}]"),
            TypeKind::Tuple(elements) => {
                f.write_char('(')?;
                write_separated(f, elements)?;
                f.write_char(')')
            }
        }
    }
}

impl Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DimKind::Rest => f.write_str(".."),
            DimKind::Size(size) => write!(f, "{size}"),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PatternKind::Name(name) => f.write_str(&name.name),
            PatternKind::Tuple(parts) => {
                f.write_char('(')?;
                write_separated(f, parts)?;
                f.write_char(')')
            }
        }
    }
}

impl Display for BracketItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            BracketKind::Value(value) => write!(f, "{value}"),
            BracketKind::Named { name, value } => write!(f, "{}={value}", name.name),
            BracketKind::Slice { start, stop, step } => {
                f.write_str("(slice")?;
                for part in [start, stop, step] {
                    match part {
                        Some(part) => write!(f, " {part}")?,
                        None => f.write_str(" _")?,
                    }
                }
                f.write_char(')')
            }
            BracketKind::Rest => f.write_str(".."),
        }
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{}=", name.name)?;
        }
        write!(f, "{}", self.value)
    }
}

fn write_expr(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match &expr.kind {
        ExprKind::Int(value) => write!(f, "{value}"),
        ExprKind::Float(value) => write!(f, "{value:?}"),
        ExprKind::Bool(value) => write!(f, "{value}"),
        ExprKind::String(value) => write!(f, "{value:?}"),
        ExprKind::None => f.write_str("none"),
        ExprKind::Name(name) => f.write_str(name),
        ExprKind::Access { base, name } => write!(f, "(. {base} {})", name.name),
        ExprKind::Call { callee, args } => write_list(f, "call", Some(callee), args),
        ExprKind::Bracket { base, items } => write_list(f, "bracket", Some(base), items),
        ExprKind::Paren(inner) => write!(f, "(paren {inner})"),
        ExprKind::Tuple(elements) => write_list(f, "tuple", None, elements),
        ExprKind::List(elements) => write_list(f, "list", None, elements),
        ExprKind::If {
            branches,
            otherwise,
        } => {
            f.write_str("(if")?;
            for branch in branches {
                write!(f, " {} {}", branch.condition, branch.value)?;
            }
            write!(f, " else {otherwise})")
        }
        ExprKind::Unary { op, operand, .. } => write!(f, "({} {operand})", op.symbol()),
        ExprKind::Binary { op, left, right } => {
            write!(f, "({} {left} {right})", op.kind.symbol())
        }
        ExprKind::Range { start, end } => write!(f, "(.. {start} {end})"),
        ExprKind::Pipe { source, stages } => write_list(f, "|>", Some(source), stages),
    }
}

/// `(word head element element …)`.
fn write_list<T: Display>(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    head: Option<&Expr>,
    elements: &[T],
) -> fmt::Result {
    write!(f, "({word}")?;
    if let Some(head) = head {
        write!(f, " {head}")?;
    }
    for element in elements {
        write!(f, " {element}")?;
    }
    f.write_char(')')
}

fn write_separated<T: Display>(f: &mut fmt::Formatter<'_>, elements: &[T]) -> fmt::Result {
    for (index, element) in elements.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{element}")?;
    }
    Ok(())
}

/// Collects the lines of items and statements.
#[derive(Default)]
struct Dump {
    text: String,
    depth: usize,
}

impl Dump {
    fn line(&mut self, line: impl Display) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        let text = line.to_string();
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn nested(&mut self, inside: impl FnOnce(&mut Dump)) {
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    fn item(&mut self, item: &Item) {
        match &item.kind {
            ItemKind::Let { name, value } => self.line(format!("let {} = {value}", name.name)),
            ItemKind::Data { name, value } => self.line(format!("data {} = {value}", name.name)),
            ItemKind::Import { path, name } => {
                self.line(format!("import {:?} as {}", path.value, name.name));
            }
            ItemKind::Definition(definition) => self.definition(definition),
            ItemKind::Train(train) => {
                self.line(format!("train {}", train.name.name));
                self.nested(|dump| {
                    dump.statics(&train.statics);
                    dump.body(&train.body);
                });
            }
        }
    }

    fn definition(&mut self, definition: &Definition) {
        let word = definition.kind.word();
        self.line(format!("{word} {}", definition.name.name));
        self.nested(|dump| {
            dump.statics(&definition.statics);
            for param in &definition.params {
                let entry = signature_entry(&param.name, &param.ty, &param.default);
                dump.line(format!("tensor {entry}"));
            }
            for result in &definition.results {
                dump.line(format!("result {result}"));
            }
            dump.body(&definition.body);
        });
    }

    fn statics(&mut self, statics: &[StaticParam]) {
        for param in statics {
            let entry = signature_entry(&param.name, &param.ty, &param.default);
            self.line(format!("static {entry}"));
        }
    }

    fn body(&mut self, body: &Body) {
        self.line("do");
        self.nested(|dump| body.statements.iter().for_each(|each| dump.statement(each)));
    }

    fn statement(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Let { names, value } => self.line(format!("let {} = {value}", list(names))),
            StmtKind::Rebind { names, value } => {
                self.line(format!("set {} = {value}", list(names)))
            }
            StmtKind::Param { name, ty, init } => {
                self.line(format!("param {}: {ty} = {init}", name.name));
            }
            StmtKind::State { name, ty, init } => {
                let ty = ty.as_ref().map(|ty| format!(": {ty}")).unwrap_or_default();
                self.line(format!("state {}{ty} = {init}", name.name));
            }
            StmtKind::Update { name, value } => self.line(format!("{} <- {value}", name.name)),
            StmtKind::Return { values } => {
                let values: Vec<String> = values.iter().map(Expr::to_string).collect();
                self.line(format!("return {}", values.join(", ")));
            }
            StmtKind::Minimize { loss, optimizer } => {
                self.line(format!("minimize {loss} with {optimizer}"));
            }
            StmtKind::Report { entries } => {
                let entries: Vec<String> = entries.iter().map(report_entry).collect();
                self.line(format!("report {}", entries.join(", ")));
            }
            _ => self.compound(statement),
        }
    }

    /// The statements that have bodies.
    fn compound(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::For {
                names,
                iterable,
                body,
            } => self.with_body(format!("for {} in {iterable}", list(names)), body),
            StmtKind::Step {
                pattern,
                source,
                body,
            } => self.with_body(format!("step {pattern} in {source}"), body),
            StmtKind::Eval {
                split,
                pattern,
                source,
                body,
            } => {
                let split = split.as_ref().map(|split| format!("{} ", split.name));
                let split = split.unwrap_or_default();
                self.with_body(format!("eval {split}{pattern} in {source}"), body);
            }
            StmtKind::If {
                branches,
                otherwise,
            } => {
                for (index, branch) in branches.iter().enumerate() {
                    let word = if index == 0 { "if" } else { "else if" };
                    self.with_body(format!("{word} {}", branch.condition), &branch.body);
                }
                if let Some(body) = otherwise {
                    self.with_body("else".to_owned(), body);
                }
            }
            _ => {}
        }
    }

    fn with_body(&mut self, head: String, body: &Body) {
        self.line(head);
        self.nested(|dump| dump.body(body));
    }
}

fn list(names: &[Ident]) -> String {
    let words: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    words.join(", ")
}

fn report_entry(entry: &ReportEntry) -> String {
    match &entry.name {
        Some(name) => format!("{} = {}", name.name, entry.value),
        None => entry.value.to_string(),
    }
}

fn signature_entry(name: &Ident, ty: &Option<Type>, default: &Option<Expr>) -> String {
    let ty = ty.as_ref().map(|ty| format!(": {ty}")).unwrap_or_default();
    let default = default.as_ref().map(|value| format!(" = {value}"));
    format!("{}{ty}{}", name.name, default.unwrap_or_default())
}
