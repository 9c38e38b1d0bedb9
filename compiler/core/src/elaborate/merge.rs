//! After an `if` that the run decides: each name and each version that a branch changed is chosen by the condition.

use super::context::Elaborator;
use super::diagnose::Checked;
use super::scope::Scopes;
use super::value::Value;
use crate::graph::NodeId;
use dlm_grammar::Span;
use indexmap::IndexMap;

impl Elaborator<'_> {
    /// Joins the branch that was taken with the current one.
    pub fn merge(
        &mut self,
        condition: NodeId,
        scopes: Scopes,
        versions: IndexMap<String, NodeId>,
        span: Span,
    ) -> Checked<()> {
        for (path, taken) in versions {
            let other = self.version(&path);
            if other != taken {
                let chosen = self.choose_node(condition, taken, other);
                self.unit.versions.insert(path, chosen);
            }
        }
        for (index, taken) in scopes.bindings().iter().enumerate() {
            let other = self.frame().scopes.bindings()[index].value.clone();
            let (Ok(a), Ok(b)) = (&taken.value, &other) else {
                continue;
            };
            if same_value(a, b) {
                continue;
            }
            let chosen = self.select(condition, a, b, span);
            self.frame_mut().scopes.bindings_mut()[index].value = chosen;
        }
        Ok(())
    }

    /// One node or the other, by a scalar condition.
    pub fn choose_node(&mut self, condition: NodeId, taken: NodeId, other: NodeId) -> NodeId {
        let shape = self.emit().shape(taken);
        let condition = self.emit().broadcast(condition, &shape);
        self.emit().select(condition, taken, other)
    }
}

/// Whether two values are certainly the same.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Tensor(a), Value::Tensor(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Tensor(_), _) | (_, Value::Tensor(_)) => false,
        (a, b) if a.is_number() && b.is_number() => a.same_number(b),
        // Whatever else a branch can rebind is not chosen at run time and stays as it is in the last branch.
        _ => true,
    }
}
