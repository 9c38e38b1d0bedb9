//! What a `step` or `eval` binds of each batch: the graph's data inputs.

use super::call::counted;
use super::codes;
use super::context::{Elaborator, Unit};
use super::data::DataValue;
use super::diagnose::{Checked, Poison, error};
use super::program::{Feed, FeedInput, IndexBound};
use super::scope::BindingKind;
use super::value::Value;
use super::world::PartDescription;
use crate::graph::{AxisIndex, Dim, Graph, InputKind, NodeId, Op, TensorType, View};
use dlm_grammar::Span;
use dlm_grammar::ast::{Ident, Pattern, PatternKind};

/// The feeds of a body, with the node of each input.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    feeds: Vec<Feed>,
    nodes: Vec<Vec<NodeId>>,
    /// For each input the classes that its samples certainly have, and how many have it, where the source tells.
    classes: Vec<Vec<Vec<(i64, i64)>>>,
}

impl Elaborator<'_> {
    /// Binds the names of a pattern to the parts of a batch; `B` is the batch size.
    pub fn bind_batch(
        &mut self,
        pattern: &Pattern,
        data: &DataValue,
        span: Span,
    ) -> Checked<Bound> {
        let batch = Ok(Value::Extent(Dim::BATCH));
        self.frame_mut()
            .scopes
            .bind("B", batch, BindingKind::Dimension, span);
        let mut bound = Bound::default();
        if data.zipped.is_empty() {
            self.bind_feed(pattern, data, Dim::BATCH, span, &mut bound)?;
            return Ok(bound);
        }
        let PatternKind::Tuple(patterns) = &pattern.kind else {
            return Err(self.pattern_differs(pattern, data.zipped.len()));
        };
        if patterns.len() != data.zipped.len() {
            return Err(self.pattern_differs(pattern, data.zipped.len()));
        }
        let first = data.zipped.first().and_then(|data| data.batch);
        for (pattern, data) in patterns.iter().zip(&data.zipped) {
            // Sets after the first cycle, so that their batches are always full; one whose batches are as large as the
            // first's gives as many samples as that does.
            let size = match data.batch {
                Some(batch) if Some(batch) != first => Dim::fixed(batch),
                _ => Dim::BATCH,
            };
            self.bind_feed(pattern, data, size, span, &mut bound)?;
        }
        Ok(bound)
    }

    fn pattern_differs(&mut self, pattern: &Pattern, parts: usize) -> Poison {
        self.bind_poison(pattern);
        let names: Vec<&str> = ["x", "y", "z", "u", "v", "w"]
            .into_iter()
            .take(parts)
            .collect();
        let message = format!("a sample has {}", counted(parts, "part"));
        self.report(
            error(codes::DATA_PATTERN, pattern.span, message).help(format!(
                "`({})`, or `_` for a part that is not needed",
                names.join(", ")
            )),
        )
    }

    /// Binds every name of a pattern to a mistake that has been reported.
    pub fn bind_poison(&mut self, pattern: &Pattern) {
        match &pattern.kind {
            PatternKind::Name(name) => {
                self.frame_mut()
                    .scopes
                    .bind(&name.name, Err(Poison), BindingKind::Let, name.span);
            }
            PatternKind::Tuple(patterns) => patterns
                .iter()
                .for_each(|pattern| self.bind_poison(pattern)),
        }
    }

    fn bind_feed(
        &mut self,
        pattern: &Pattern,
        data: &DataValue,
        size: Dim,
        span: Span,
        bound: &mut Bound,
    ) -> Checked<()> {
        let names: Vec<&Ident> = match &pattern.kind {
            PatternKind::Name(name) => vec![name],
            PatternKind::Tuple(patterns) => {
                let names = patterns.iter().map(|pattern| match &pattern.kind {
                    PatternKind::Name(name) => Some(name),
                    PatternKind::Tuple(_) => None,
                });
                match names.collect::<Option<Vec<&Ident>>>() {
                    Some(names) => names,
                    None => return Err(self.pattern_differs(pattern, data.parts.len())),
                }
            }
        };
        if names.len() != data.parts.len() {
            return Err(self.pattern_differs(pattern, data.parts.len()));
        }
        let (Some(batch), Some(split)) = (data.batch, data.split) else {
            self.bind_poison(pattern);
            return Err(self.unready(data, span));
        };
        let mut feed = Feed {
            dataset: data.dataset,
            split: data.splits[split].name.clone(),
            stages: data.stages.clone(),
            batch,
            drop_last: data.drop_last,
            inputs: Vec::new(),
            span,
        };
        let mut nodes = Vec::new();
        let mut classes = Vec::new();
        for (part, (name, description)) in names.into_iter().zip(&data.parts).enumerate() {
            if name.name == "_" {
                continue;
            }
            let mut shape = vec![size];
            shape.extend(description.shape.iter().map(|&extent| Dim::fixed(extent)));
            let ty = TensorType::new(description.dtype, shape);
            let node = self.emit().input(InputKind::Data, &name.name, ty.clone());
            let value = Ok(self.tensor(node));
            self.frame_mut()
                .scopes
                .bind(&name.name, value, BindingKind::Let, name.span);
            feed.inputs.push(FeedInput {
                part,
                name: name.name.clone(),
                ty,
                bound: None,
            });
            nodes.push(node);
            classes.push(self.classes_of(description, data, split));
        }
        bound.feeds.push(feed);
        bound.nodes.push(nodes);
        bound.classes.push(classes);
        Ok(())
    }

    fn unready(&mut self, data: &DataValue, span: Span) -> Poison {
        if data.split.is_none() {
            let names: Vec<&str> = data
                .splits
                .iter()
                .map(|split| split.name.as_str())
                .collect();
            let message = "which split of the data?";
            let help = format!(
                "it has {}",
                names
                    .iter()
                    .map(|name| format!("`.{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            return self.report(error(codes::NOT_DATA, span, message).help(help));
        }
        let message = "how many samples make a batch?";
        self.report(error(codes::NO_BATCH, span, message).help("`|> batch[64]`"))
    }
}

impl Elaborator<'_> {
    /// The classes that a split's labels have for certain: those that the source has counted, where no function changes
    /// them.
    fn classes_of(
        &self,
        part: &PartDescription,
        data: &DataValue,
        split: usize,
    ) -> Vec<(i64, i64)> {
        let stages = self.datasets[data.dataset].stages.iter();
        let changed = stages.chain(&data.stages).any(|stage| stage.name == "map");
        if changed || part.classes.is_none() || !part.shape.is_empty() {
            return Vec::new();
        }
        let counts = (0..).zip(data.splits[split].class_counts.iter().copied());
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// The feeds with the bounds of those inputs that are used as indices; an error where the data has a class beyond.
    pub fn finish_feeds(&mut self, bound: Bound, unit: &Unit) -> Vec<Feed> {
        let mut feeds = bound.feeds;
        let inputs = bound.nodes.iter().zip(&bound.classes);
        for (feed, (nodes, classes)) in feeds.iter_mut().zip(inputs) {
            for ((input, &node), classes) in feed.inputs.iter_mut().zip(nodes).zip(classes) {
                input.bound = bound_of(unit, node);
                self.check_classes(input.bound, classes, feed.span);
            }
        }
        feeds
    }

    fn check_classes(&mut self, bound: Option<IndexBound>, classes: &[(i64, i64)], feed: Span) {
        let Some(bound) = bound else { return };
        let beyond =
            |(class, _): &&(i64, i64)| *class >= bound.below.fixed && Some(*class) != bound.except;
        let Some((class, count)) = classes.iter().rev().find(beyond) else {
            return;
        };
        let below = bound.below;
        let message =
            format!("the labels reach class {class}, and the classes here are 0..{below}");
        self.reporter_only(
            error(codes::INDEX, bound.span, message)
                .here(format!("takes 0..{below}"))
                .label(
                    feed,
                    format!(
                        "{} of this data with class {class}",
                        counted(*count as usize, "sample")
                    ),
                )
                .help(format!("{} classes are needed", class + 1)),
        );
    }
}

/// The narrowest bound of the uses of an input as an index, of those that do not depend on the batch.
pub(super) fn bound_of(unit: &Unit, input: NodeId) -> Option<IndexBound> {
    let uses = unit
        .bounds
        .iter()
        .filter(|(node, _)| origin(&unit.emitter.graph, *node) == input);
    uses.map(|(_, bound)| *bound)
        .filter(|bound| bound.below.known().is_some())
        .min_by_key(|bound| bound.below)
}

/// The node whose elements, all of them, another merely rearranges.
pub(super) fn origin(graph: &Graph, mut node: NodeId) -> NodeId {
    loop {
        let own = &graph.nodes[node];
        match &own.op {
            Op::Reshape { .. } | Op::StopGradient => {}
            Op::View(view) if is_whole(view, &graph.nodes[own.inputs[0]].ty.shape) => {}
            _ => return node,
        }
        node = own.inputs[0];
    }
}

/// Whether a view reads every element of its operand and nothing else.
fn is_whole(view: &View, operand: &[Dim]) -> bool {
    let mut used = vec![false; view.shape.len()];
    view.index.iter().zip(operand).all(|(index, &extent)| {
        let Some(axis) = index.as_variable() else {
            return extent == Dim::fixed(1) && *index == AxisIndex::constant(0);
        };
        !std::mem::replace(&mut used[axis], true) && view.shape[axis] == extent
    })
}
