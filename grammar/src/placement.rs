//! Which statement may stand where.
//!
//! | body of | admits, besides `let`, `name = …`, `for` and `if` |
//! |---|---|
//! | `fn` | `return` |
//! | `block` | `return`, `param`, `state`, `<-` |
//! | `optimizer` | `state`, `<-` |
//! | `train` | one `step`, any `eval` |
//! | `step` | `minimize`, `report` |
//! | `eval` | `report` |
//!
//! `param` and `state` need a type, but for an optimizer's states. A `step` or `eval` stands in the `train`
//! itself, not in a loop or branch of it.

use crate::ast::{Body, DefinitionKind, File, ItemKind, Stmt, StmtKind, Train};
use crate::codes::{MISPLACED_STATEMENT, MISSING_PART};
use crate::{Diagnostic, Span};

/// What a body belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Function,
    Block,
    Optimizer,
    Train,
    /// A loop or branch in a `train`, outside of `step` and `eval`.
    TrainNested,
    Step,
    Eval,
}

/// Reports every statement that stands where its kind has no meaning.
pub(crate) fn check(file: &File, diagnostics: &mut Vec<Diagnostic>) {
    let mut checker = Checker { diagnostics };
    for item in &file.items {
        match &item.kind {
            ItemKind::Definition(definition) => {
                let place = match definition.kind {
                    DefinitionKind::Function => Place::Function,
                    DefinitionKind::Block => Place::Block,
                    DefinitionKind::Optimizer => Place::Optimizer,
                };
                checker.body(&definition.body, place);
            }
            ItemKind::Train(train) => {
                checker.body(&train.body, Place::Train);
                checker.one_step(train);
            }
            ItemKind::Let { .. } | ItemKind::Data { .. } | ItemKind::Import { .. } => {}
        }
    }
}

struct Checker<'d> {
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn body(&mut self, body: &Body, place: Place) {
        for statement in &body.statements {
            self.statement(statement, place);
        }
    }

    fn statement(&mut self, statement: &Stmt, place: Place) {
        let inner = match place {
            Place::Train => Place::TrainNested,
            other => other,
        };
        match &statement.kind {
            StmtKind::For { body, .. } => self.body(body, inner),
            StmtKind::If {
                branches,
                otherwise,
            } => {
                for branch in branches {
                    self.body(&branch.body, inner);
                }
                otherwise.iter().for_each(|body| self.body(body, inner));
            }
            StmtKind::Step { body, .. } => {
                self.require(
                    statement,
                    place == Place::Train,
                    "step",
                    "directly in a `train`",
                );
                self.body(body, Place::Step);
            }
            StmtKind::Eval { body, .. } => {
                self.require(
                    statement,
                    place == Place::Train,
                    "eval",
                    "directly in a `train`",
                );
                self.body(body, Place::Eval);
            }
            _ => self.simple(statement, place),
        }
    }

    /// Statements without bodies.
    fn simple(&mut self, statement: &Stmt, place: Place) {
        let stateful = matches!(place, Place::Block | Place::Optimizer);
        match &statement.kind {
            StmtKind::Param { .. } => {
                self.require(statement, place == Place::Block, "param", "in a `block`")
            }
            StmtKind::State { ty, .. } => {
                self.require(statement, stateful, "state", "in a `block` or `optimizer`");
                if place == Place::Block && ty.is_none() {
                    self.untyped_state(statement.span);
                }
            }
            StmtKind::Update { .. } => {
                self.require(statement, stateful, "<-", "in a `block` or `optimizer`")
            }
            StmtKind::Return { .. } => {
                let allowed = matches!(place, Place::Function | Place::Block);
                self.require(statement, allowed, "return", "in a `fn` or `block`");
            }
            StmtKind::Minimize { .. } => {
                self.require(statement, place == Place::Step, "minimize", "in a `step`")
            }
            StmtKind::Report { .. } => {
                let allowed = matches!(place, Place::Step | Place::Eval);
                self.require(statement, allowed, "report", "in a `step` or `eval`");
            }
            _ => {}
        }
    }

    fn require(&mut self, statement: &Stmt, allowed: bool, word: &str, place: &str) {
        if allowed {
            return;
        }
        let span = match word {
            "<-" => statement.span,
            _ => keyword_span(statement.span, word),
        };
        let message = format!("`{word}` may stand only {place}");
        let diagnostic = Diagnostic::error(MISPLACED_STATEMENT, span, message).here("not here");
        self.diagnostics.push(diagnostic);
    }

    fn untyped_state(&mut self, span: Span) {
        let message = "a block's state needs a type";
        let diagnostic =
            Diagnostic::error(MISPLACED_STATEMENT, keyword_span(span, "state"), message)
                .note("only an optimizer's states have their parameter's type")
                .help("write `state name: f32[…] = init`");
        self.diagnostics.push(diagnostic);
    }

    fn one_step(&mut self, train: &Train) {
        let is_step = |statement: &&Stmt| matches!(statement.kind, StmtKind::Step { .. });
        let steps: Vec<Span> = train
            .body
            .statements
            .iter()
            .filter(is_step)
            .map(|step| step.span)
            .collect();
        let diagnostic = match steps.as_slice() {
            [_] => return,
            [] if train.body.statements.iter().any(is_eval) => return,
            [] => {
                let message = format!(
                    "the train `{}` has no `step` and no `eval`",
                    train.name.name
                );
                Diagnostic::error(MISSING_PART, train.name.span, message)
                    .help("it needs one: `step (x, y) in data.train |> batch[64] { … minimize loss with opt }`")
            }
            [first, second, ..] => {
                let message = "a train has one `step`";
                let diagnostic =
                    Diagnostic::error(MISSING_PART, keyword_span(*second, "step"), message);
                diagnostic
                    .label(keyword_span(*first, "step"), "the first one")
                    .help("one step may `minimize` several losses; `zip` sets data side by side")
            }
        };
        self.diagnostics.push(diagnostic);
    }
}

fn is_eval(statement: &Stmt) -> bool {
    matches!(statement.kind, StmtKind::Eval { .. })
}

/// The keyword with which a statement begins.
fn keyword_span(statement: Span, word: &str) -> Span {
    let start = statement.start as usize;
    Span::new(statement.file, start, start + word.len())
}
