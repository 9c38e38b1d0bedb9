//! `report`: values that a run shows.

use super::codes;
use super::context::{Elaborator, FrameKind};
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::feeds::origin;
use super::program::{IndexBound, MetricKind, MetricSpec};
use super::value::{Applied, Value};
use crate::graph::{DType, Dim, InputKind, NodeId, Op, OutputKind, TensorType};
use dlm_grammar::Span;
use dlm_grammar::ast::{Expr, ExprKind, ReportEntry, StaticType};
use std::rc::Rc;

impl Elaborator<'_> {
    /// `report a, name = b`
    pub fn report_statement(&mut self, entries: &[ReportEntry]) -> Checked<()> {
        let mut failed = Ok(());
        for entry in entries {
            if let Err(poison) = self.report_entry(entry) {
                failed = Err(poison);
            }
        }
        failed
    }

    fn report_entry(&mut self, entry: &ReportEntry) -> Checked<()> {
        let name = self.metric_name(entry)?;
        let at = entry.span;
        if self.reported.iter().any(|earlier| earlier.name == name) {
            let message = format!("`{name}` is reported twice");
            return Err(self.report(
                error(codes::REPORT, at, message)
                    .help(format!("`report {name}_2 = …` names one of them")),
            ));
        }
        if self.frame().kind == FrameKind::Eval
            && let Some((metric, given)) = self.whole_set_metric(&entry.value)?
        {
            return self.report_joined(name, &metric, given, entry);
        }
        let value = self.value(&entry.value)?;
        let node = self.tensor_of(&value, entry.value.span)?;
        let ty = self.type_of(node).clone();
        if self.frame().kind == FrameKind::Eval && is_picture(&ty) {
            self.emit()
                .graph
                .output(OutputKind::Report, name.clone(), node);
            let kind = MetricKind::Picture;
            self.reported.push(MetricSpec { name, ty, kind });
            return Ok(());
        }
        if ty.shape.iter().any(|dim| dim.is_dynamic()) {
            let message = format!("`{name}` is {ty}: one value for each sample");
            return Err(self.report(
                error(codes::REPORT, entry.value.span, message)
                    .help("`mean(…)` makes one value of them"),
            ));
        }
        let node = match ty.dtype {
            DType::Bool => self.emit().cast(node, DType::F32),
            _ => node,
        };
        let ty = self.type_of(node).clone();
        self.emit()
            .graph
            .output(OutputKind::Report, name.clone(), node);
        let kind = if ty.dtype.is_float() {
            MetricKind::Mean
        } else {
            MetricKind::Sum
        };
        self.reported.push(MetricSpec { name, ty, kind });
        Ok(())
    }

    /// A metric's name: as given, the variable's, or the outermost function's.
    fn metric_name(&mut self, entry: &ReportEntry) -> Checked<String> {
        if let Some(name) = &entry.name {
            return Ok(name.name.clone());
        }
        outermost_name(&entry.value).ok_or_else(|| {
            let message = "this value has no name to be reported under";
            self.report(
                error(codes::REPORT, entry.value.span, message).help("`report NAME = …` names it"),
            )
        })
    }

    /// The metric and its arguments, where an expression is the call of a `fn … -> metric`.
    fn whole_set_metric(&mut self, expr: &Expr) -> Checked<Option<(Rc<Applied>, Vec<Given>)>> {
        let (callee, first, args) = match &expr.unparenthesized().kind {
            ExprKind::Call { callee, args } => (callee.as_ref(), None, args.as_slice()),
            ExprKind::Pipe { source, stages } if stages.len() == 1 => {
                (&stages[0], Some(source.as_ref()), &[][..])
            }
            _ => return Ok(None),
        };
        if !matches!(
            callee.unparenthesized().kind,
            ExprKind::Name(_) | ExprKind::Access { .. } | ExprKind::Bracket { .. }
        ) {
            return Ok(None);
        }
        let Value::Function(function) = self.head(callee)? else {
            return Ok(None);
        };
        if !self.returns(&function, StaticType::Metric) {
            return Ok(None);
        }
        let mut given = Vec::new();
        if let Some(source) = first {
            given.push(Given {
                name: None,
                value: self.value(source)?,
                span: source.span,
            });
        }
        for argument in args {
            let value = self.value(&argument.value)?;
            given.push(Given {
                name: argument.name.clone(),
                value,
                span: argument.value.span,
            });
        }
        Ok(Some((function, given)))
    }

    /// The arguments become outputs that are joined over all batches; the metric is a graph over them.
    fn report_joined(
        &mut self,
        name: String,
        metric: &Applied,
        given: Vec<Given>,
        entry: &ReportEntry,
    ) -> Checked<()> {
        let mut inputs: Vec<(String, NodeId)> = Vec::new();
        for (index, argument) in given.iter().enumerate() {
            if let Value::Tensor(_) = argument.value {
                let node = self.tensor_of(&argument.value, argument.span)?;
                self.for_each_sample(node, argument.span)?;
                let output = format!("{name}#{index}");
                self.emit()
                    .graph
                    .output(OutputKind::Report, output.clone(), node);
                inputs.push((output, node));
            }
        }
        let types: Vec<_> = inputs
            .iter()
            .map(|(_, node)| self.type_of(*node).clone())
            .collect();
        let unit = self.new_unit(&name);
        let outer = std::mem::replace(&mut self.unit, unit);
        self.at(entry.span);
        let mut named = inputs.iter().zip(types);
        let mut joined = Vec::new();
        for argument in given {
            let next = if argument.value.holds_tensor() {
                named.next()
            } else {
                None
            };
            let value = match next {
                Some(((name, _), ty)) => {
                    let node = self.emit().input(InputKind::Data, name, ty);
                    self.tensor(node)
                }
                None => argument.value,
            };
            joined.push(Given { value, ..argument });
        }
        let result = self.metric_graph(&name, metric, joined, entry);
        let bounds = self.bounds_of_data(&inputs);
        self.guard_indices();
        let unit = std::mem::replace(&mut self.unit, outer);
        self.unit.bounds.extend(bounds);
        let ty = result?;
        let kind = MetricKind::Joined {
            arguments: inputs.into_iter().map(|(name, _)| name).collect(),
            graph: Box::new(unit.emitter.graph),
        };
        self.reported.push(MetricSpec { name, ty, kind });
        Ok(())
    }

    /// An error for an argument of a whole set's metric that a slice of the batch has made: joined over all batches, it
    /// has not as many rows as the set has samples.
    fn for_each_sample(&mut self, node: NodeId, span: Span) -> Checked<()> {
        let ty = self.type_of(node).clone();
        let sliced =
            |rows: &Dim| *rows != Dim::BATCH && (rows.is_dynamic() || self.unit.batch.is_some());
        if !ty.shape.first().is_some_and(sliced) {
            return Ok(());
        }
        let message =
            format!("a metric of the whole set takes a row for each sample, this is {ty}");
        let help = "a `step`, or an ordinary function, takes part of a batch";
        Err(self.report(error(codes::REPORT, span, message).help(help)))
    }

    /// What the metric's graph asks of its inputs, as of the nodes that they are joined from.
    fn bounds_of_data(&self, inputs: &[(String, NodeId)]) -> Vec<(NodeId, IndexBound)> {
        let graph = &self.unit.emitter.graph;
        let of_input = |&(node, bound): &(NodeId, IndexBound)| {
            let Op::Input { name, .. } = &graph.nodes[origin(graph, node)].op else {
                return None;
            };
            let (_, outer) = inputs.iter().find(|input| input.0 == *name)?;
            Some((*outer, bound))
        };
        self.unit.bounds.iter().filter_map(of_input).collect()
    }

    fn metric_graph(
        &mut self,
        name: &str,
        metric: &Applied,
        given: Vec<Given>,
        entry: &ReportEntry,
    ) -> Checked<crate::graph::TensorType> {
        let value = self.call_function(metric, given, entry.span)?;
        let node = self.tensor_of(&value, entry.span)?;
        let ty = self.type_of(node).clone();
        if ty.shape.iter().any(|dim| dim.is_dynamic()) {
            let message = format!("the metric `{name}` is {ty}, and a metric has a fixed size");
            return Err(self.report(error(codes::REPORT, entry.span, message)));
        }
        self.emit().graph.output(OutputKind::Report, name, node);
        Ok(ty)
    }
}

/// Whether a value that an `eval` reports is shown as images, `f32[N, C, H, W]` with one channel or three.
fn is_picture(ty: &TensorType) -> bool {
    let channels = ty.shape.get(1).filter(|_| ty.shape.len() == 4);
    let shown = channels.is_some_and(|&dim| dim == Dim::fixed(1) || dim == Dim::fixed(3));
    let rest = ty.shape.iter().skip(1);
    ty.dtype == DType::F32 && shown && rest.clone().all(|dim| !dim.is_dynamic())
}

/// The variable's name, or the name of the outermost function.
pub(super) fn outermost_name(expr: &Expr) -> Option<String> {
    match &expr.unparenthesized().kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Access { name, .. } => Some(name.name.clone()),
        ExprKind::Bracket { base, .. } => outermost_name(base),
        ExprKind::Call { callee, .. } => outermost_name(callee),
        ExprKind::Pipe { stages, .. } => stages.last().and_then(outermost_name),
        _ => None,
    }
}
