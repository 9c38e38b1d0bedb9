//! The places in a body where unnamed blocks stand, counted in textual order.

use super::context::Elaborator;
use super::files::{DefinitionHandle, ItemRef};
use super::value::{Applied, Value};
use dlm_grammar::Span;
use dlm_grammar::ast::{
    Body, BracketItem, BracketKind, DefinitionKind, Expr, ExprKind, Stmt, StmtKind,
};
use indexmap::IndexMap;

/// The name and number of each place.
pub(super) type SiteTable = IndexMap<Span, String>;

/// What a body's names mean, as far as it matters which of them are blocks.
struct Walk<'a, 'w> {
    elaborator: &'a mut Elaborator<'w>,
    definition: Option<DefinitionHandle>,
    file: usize,
    /// Statics that are blocks, with the block's name; every other own name with none.
    own: IndexMap<String, Option<String>>,
    counts: IndexMap<String, u32>,
    table: SiteTable,
}

impl Elaborator<'_> {
    /// The name of an unnamed block at a place in the body of `parent`.
    pub fn unnamed(&mut self, parent: usize, recipe: &Applied, span: Span) -> String {
        let table = match &self.instances[parent].sites {
            Some(table) => table.clone(),
            None => {
                let table = std::rc::Rc::new(self.count_sites());
                self.instances[parent].sites = Some(table.clone());
                table
            }
        };
        let fallback = || format!("{}_at_{}", snake_case(recipe.definition.name()), span.start);
        table.get(&span).cloned().unwrap_or_else(fallback)
    }

    /// Counts the unnamed blocks of the body under way.
    fn count_sites(&mut self) -> SiteTable {
        let frame = self.frame();
        let mut own = IndexMap::new();
        for binding in frame.scopes.bindings() {
            let block = match &binding.value {
                Ok(Value::Recipe(recipe)) => Some(recipe.definition.name().to_owned()),
                _ => None,
            };
            own.insert(binding.name.clone(), block);
        }
        let (definition, file) = (frame.definition.clone(), frame.file);
        let train = self.train_under_way.clone();
        let mut walk = Walk {
            elaborator: self,
            definition: definition.clone(),
            file,
            own,
            counts: IndexMap::new(),
            table: SiteTable::new(),
        };
        match (&definition, train) {
            (Some(definition), _) => walk.body(&definition.get().body),
            (None, Some((tree, item))) => {
                if let Some(train) = super::files::train_at(&tree, item) {
                    walk.body(&train.body);
                }
            }
            (None, None) => {}
        }
        walk.table
    }
}

impl Walk<'_, '_> {
    fn body(&mut self, body: &Body) {
        for stmt in &body.statements {
            self.statement(stmt);
        }
    }

    fn statement(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Let { names, value } | StmtKind::Rebind { names, value } => {
                let named = names.len() == 1 && matches!(stmt.kind, StmtKind::Let { .. });
                if !(named && self.is_block(value)) {
                    self.expr(value);
                }
                for name in names {
                    self.own.insert(name.name.clone(), None);
                }
            }
            StmtKind::Param { name, init, .. } | StmtKind::State { name, init, .. } => {
                let _ = init;
                self.own.insert(name.name.clone(), None);
            }
            StmtKind::Update { value, .. } => self.expr(value),
            StmtKind::Return { values } => values.iter().for_each(|value| self.expr(value)),
            StmtKind::For { iterable, body, .. } => {
                self.expr(iterable);
                self.body(body);
            }
            StmtKind::If {
                branches,
                otherwise,
            } => {
                for branch in branches {
                    self.expr(&branch.condition);
                    self.body(&branch.body);
                }
                otherwise.iter().for_each(|body| self.body(body));
            }
            // Neither makes instances.
            StmtKind::Step { .. } | StmtKind::Eval { .. } => {}
            StmtKind::Minimize { .. } | StmtKind::Report { .. } => {}
        }
    }

    /// Whether an expression as a whole is a block, or a choice between blocks.
    fn is_block(&mut self, expr: &Expr) -> bool {
        match &expr.unparenthesized().kind {
            ExprKind::If {
                branches,
                otherwise,
            } => {
                let blocks = branches.iter().all(|branch| self.is_block(&branch.value));
                blocks && self.is_block(otherwise)
            }
            _ => self.block_name(expr.unparenthesized()).is_some(),
        }
    }

    /// The name of the block that an expression names, if it names one.
    fn block_name(&mut self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Name(name) => self.named_block(name),
            ExprKind::Bracket { base, .. } => self.block_name(base),
            ExprKind::Access { base, name } => {
                let module = base.as_name()?;
                let ItemRef::Module(Ok(file)) = self.elaborator.item(self.file, module)? else {
                    return None;
                };
                match self.elaborator.item(file, &name.name)? {
                    ItemRef::Definition(found) => block_of(&found),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn named_block(&mut self, name: &str) -> Option<String> {
        if let Some(own) = self.own.get(name) {
            return own.clone();
        }
        let itself = self
            .definition
            .as_ref()
            .is_some_and(|own| own.name() == name);
        let item = match self.elaborator.item(self.file, name) {
            Some(item) if !itself => Some(item),
            _ => self.elaborator.library_item(name),
        };
        match item? {
            ItemRef::Definition(found) => block_of(&found),
            _ => None,
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if let Some(name) = self.block_name(expr) {
            let base = snake_case(&name);
            let count = self.counts.entry(base.clone()).or_insert(0);
            *count += 1;
            self.table.insert(expr.span, format!("{base}_{count}"));
            return;
        }
        match &expr.kind {
            ExprKind::Paren(inside) => self.expr(inside),
            ExprKind::Access { base, .. } | ExprKind::Unary { operand: base, .. } => {
                self.expr(base)
            }
            ExprKind::Call { callee, args } => {
                self.expr(callee);
                args.iter().for_each(|argument| self.expr(&argument.value));
            }
            // Blocks among statics are recipes and make no instance here.
            ExprKind::Bracket { base, items } => {
                self.expr(base);
                items.iter().for_each(|item| self.index(item));
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                items.iter().for_each(|item| self.expr(item));
            }
            ExprKind::If {
                branches,
                otherwise,
            } => {
                for branch in branches {
                    self.expr(&branch.condition);
                    self.expr(&branch.value);
                }
                self.expr(otherwise);
            }
            ExprKind::Binary { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Range { start, end } => {
                self.expr(start);
                self.expr(end);
            }
            ExprKind::Pipe { source, stages } => {
                self.expr(source);
                stages.iter().for_each(|stage| self.expr(stage));
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::String(_)
            | ExprKind::None
            | ExprKind::Name(_) => {}
        }
    }

    /// An index may call a block; a static that is a block is none of ours.
    fn index(&mut self, item: &BracketItem) {
        if let BracketKind::Value(expr) = &item.kind
            && matches!(expr.kind, ExprKind::Call { .. } | ExprKind::Pipe { .. })
        {
            self.expr(expr);
        }
    }
}

fn block_of(found: &DefinitionHandle) -> Option<String> {
    (found.kind() == DefinitionKind::Block).then(|| found.name().to_owned())
}

/// A block's name in a path: `_` stands before an upper letter that follows a lower letter or a digit, or that
/// precedes a lower one after an upper. `PReLU` alone is `prelu`.
pub(super) fn snake_case(name: &str) -> String {
    if name == "PReLU" {
        return "prelu".to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(index + 1);
        let starts = before.is_some_and(|before| {
            before.is_lowercase()
                || before.is_ascii_digit()
                || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
        });
        if letter.is_uppercase() && starts {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn block_names_become_snake_case() {
        let names = [
            "BatchNorm",
            "RMSNorm",
            "Conv2d",
            "PReLU",
            "LeNet",
            "GPT",
            "A1B",
            "HTTPServer2Go",
        ];
        let snakes: Vec<String> = names.iter().map(|name| snake_case(name)).collect();
        let expected = [
            "batch_norm",
            "rms_norm",
            "conv2d",
            "prelu",
            "le_net",
            "gpt",
            "a1_b",
            "http_server2_go",
        ];
        assert_eq!(snakes, expected);
    }
}
