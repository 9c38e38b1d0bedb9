//! `accumulate=n`: gradients of n steps are summed, and every n-th step updates with their mean.

use super::around::Around;
use super::context::Elaborator;
use super::diagnose::Checked;
use super::instance::StateRecord;
use super::optimizer::{OptimizerRecord, Update};
use super::program::StateOwner;
use crate::graph::{BinaryOp, DType, InputKind, NodeId, TensorType};
use dlm_grammar::Span;

impl Elaborator<'_> {
    /// As `update_all`, with the mean of the gradients of `count` steps, where the last of them is this one; in other
    /// steps nothing but the sums changes. Sums are the states `OPTIMIZER.PATH.accumulated`, their count is
    /// `OPTIMIZER.accumulated`.
    pub fn accumulate(
        &mut self,
        record: &OptimizerRecord,
        around: &Around,
        updates: Vec<Update>,
        count: i64,
        span: Span,
    ) -> Checked<()> {
        let full = self.count_accumulated(&record.name, count);
        let updates = updates
            .into_iter()
            .map(|(path, gradient)| {
                let mean = self.sum_gradient(&record.name, &path, gradient, full, count);
                (path, mean)
            })
            .collect();
        let before = self.unit.versions.clone();
        self.update_all(record, around, updates, span)?;
        let after = self.unit.versions.clone();
        for (path, new) in after {
            let old = match before.get(&path) {
                Some(&old) => old,
                None => self.stored_input(&path),
            };
            if old != new {
                let chosen = self.choose_node(full, new, old);
                self.unit.versions.insert(path, chosen);
            }
        }
        Ok(())
    }

    /// Counts this step; whether it is the last of `count`.
    fn count_accumulated(&mut self, optimizer: &str, count: i64) -> NodeId {
        let path = format!("{optimizer}.accumulated");
        let before = self.optimizer_zero(&path, TensorType::scalar(DType::F32));
        let one = self.emit().float(1.0);
        let now = self.emit().binary(BinaryOp::Add, before, one);
        let wanted = self.emit().float(count as f64);
        let full = self.emit().binary(BinaryOp::Ge, now, wanted);
        let zero = self.emit().float(0.0);
        let next = self.emit().select(full, zero, now);
        self.set_version(&path, InputKind::State, next);
        full
    }

    /// Adds a gradient to its sum, which begins anew after a full count; the mean if this step is the last.
    fn sum_gradient(
        &mut self,
        optimizer: &str,
        path: &str,
        gradient: NodeId,
        full: NodeId,
        count: i64,
    ) -> NodeId {
        let own = format!("{optimizer}.{path}.accumulated");
        let ty = self.type_of(gradient).clone();
        let before = self.optimizer_zero(&own, ty.clone());
        let sum = self.emit().binary(BinaryOp::Add, before, gradient);
        let zero = self.emit().float(0.0);
        let zero = self.emit().broadcast(zero, &ty.shape);
        let next = self.choose_node(full, zero, sum);
        self.set_version(&own, InputKind::State, next);
        let share = self.emit().float(1.0 / count as f64);
        let share = self.emit().broadcast(share, &ty.shape);
        self.emit().binary(BinaryOp::Mul, sum, share)
    }

    /// The newest version of a state of an optimizer that begins as zero.
    pub fn optimizer_zero(&mut self, path: &str, ty: TensorType) -> NodeId {
        if !self.states.contains_key(path) {
            self.zero_state(path, &ty);
            let span = self.unit.emitter.span;
            let record = StateRecord {
                ty,
                span,
                made_by: span,
                owner: StateOwner::Optimizer,
            };
            self.states.insert(path.to_owned(), record);
        }
        self.version(path)
    }
}
