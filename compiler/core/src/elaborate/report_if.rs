//! Reports inside an `if` that the run decides: a step reports them where it takes their branch.
//!
//! Beside the output of a metric `loss` that not every step reports stands a scalar `loss?`, bool: whether this one does.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::program::MetricSpec;
use crate::graph::{BinaryOp, NodeId, Output, OutputKind, Scalar, UnaryOp};
use dlm_grammar::Span;

/// The end of the name of the output that says whether a step reports a metric.
const WHETHER: &str = "?";

/// How many metrics and outputs there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportMark {
    metrics: usize,
    outputs: usize,
}

/// What a branch reports.
#[derive(Debug)]
pub(super) struct BranchReport {
    metric: MetricSpec,
    node: NodeId,
    /// bool: whether, where not every step that takes the branch does.
    whether: Option<NodeId>,
}

impl Elaborator<'_> {
    /// Where the reports of a branch begin.
    pub fn reports_so_far(&self) -> ReportMark {
        ReportMark {
            metrics: self.reported.len(),
            outputs: self.unit.emitter.graph.outputs.len(),
        }
    }

    /// Takes the reports since then out again.
    pub fn reports_since(&mut self, mark: ReportMark) -> Vec<BranchReport> {
        let outputs: Vec<Output> = self.unit.emitter.graph.outputs.split_off(mark.outputs);
        let metrics = self.reported.split_off(mark.metrics);
        let node = |name: &str| {
            let mut outputs = outputs.iter();
            outputs
                .find(|output| output.name == name)
                .map(|output| output.node)
        };
        let report = |metric: MetricSpec| {
            Some(BranchReport {
                node: node(&metric.name)?,
                whether: node(&format!("{}{WHETHER}", metric.name)),
                metric,
            })
        };
        metrics.into_iter().filter_map(report).collect()
    }

    /// Reports what either branch does, in the steps that take it.
    pub fn merge_reports(
        &mut self,
        condition: NodeId,
        taken: Vec<BranchReport>,
        other: Vec<BranchReport>,
        span: Span,
    ) -> Checked<()> {
        let mut other = other;
        for own in taken {
            let twin = other
                .iter()
                .position(|report| report.metric.name == own.metric.name);
            match twin.map(|place| other.remove(place)) {
                None => {
                    let whether = self.both(Some(condition), own.whether);
                    self.report_where(own, whether);
                }
                Some(twin) => self.report_either(condition, own, twin, span)?,
            }
        }
        for own in other {
            let not = self.emit().unary(UnaryOp::Not, condition);
            let whether = self.both(Some(not), own.whether);
            self.report_where(own, whether);
        }
        Ok(())
    }

    fn report_either(
        &mut self,
        condition: NodeId,
        taken: BranchReport,
        other: BranchReport,
        span: Span,
    ) -> Checked<()> {
        if taken.metric.ty != other.metric.ty {
            let message = format!(
                "`{}` is {} in one branch and {} in the other",
                taken.metric.name, taken.metric.ty, other.metric.ty
            );
            return Err(self.report(error(codes::REPORT, span, message)));
        }
        let node = self.choose_node(condition, taken.node, other.node);
        let whether = match (taken.whether, other.whether) {
            (None, None) => None,
            (a, b) => {
                let always = self.emit().constant(Scalar::Bool(true));
                let (a, b) = (a.unwrap_or(always), b.unwrap_or(always));
                Some(self.emit().select(condition, a, b))
            }
        };
        self.report_where(BranchReport { node, ..taken }, whether);
        Ok(())
    }

    fn both(&mut self, a: Option<NodeId>, b: Option<NodeId>) -> Option<NodeId> {
        match (a, b) {
            (Some(a), Some(b)) => Some(self.emit().binary(BinaryOp::And, a, b)),
            (a, b) => a.or(b),
        }
    }

    fn report_where(&mut self, report: BranchReport, whether: Option<NodeId>) {
        let name = report.metric.name.clone();
        let graph = &mut self.emit().graph;
        graph.output(OutputKind::Report, name.clone(), report.node);
        if let Some(whether) = whether {
            let graph = &mut self.emit().graph;
            graph.output(OutputKind::Report, format!("{name}{WHETHER}"), whether);
        }
        self.reported.push(report.metric);
    }
}
