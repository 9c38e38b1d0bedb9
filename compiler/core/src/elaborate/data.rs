//! Data sets, splits and pipelines, as far as types and counts go: this crate reads no data.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, error};
use super::files::item_value;
use super::program::{DataSpec, PathBase, SourceSpec, StageSpec, StaticArgument, StaticValue};
use super::stages;
use super::value::{GivenStatic, Value};
use super::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_grammar::ast::{BracketItem, Expr, ExprKind, File, Ident};
use dlm_grammar::{Span, suggest};
use std::rc::Rc;

/// The sources that a `data` item may name.
const SOURCES: &[&str] = &[
    "digits",
    "mnist",
    "fashion_mnist",
    "cifar10",
    "idx",
    "csv",
    "images",
    "npy",
    "npz",
    "safetensors",
    "text",
    "parquet",
    "synthetic",
];

/// The count of a split that only reading the data tells.
pub(super) const UNKNOWN_COUNT: i64 = -1;

/// A data set, a split of one, or a pipeline over one.
#[derive(Clone, Debug)]
pub(super) struct DataValue {
    /// An index into the data sets of the program.
    pub dataset: usize,
    /// What a sample consists of, after the stages so far.
    pub parts: Vec<PartDescription>,
    /// The splits, after the stages so far.
    pub splits: Vec<SplitDescription>,
    /// The split taken, as an index into `splits`.
    pub split: Option<usize>,
    /// The stages after the split.
    pub stages: Vec<StageSpec>,
    /// Samples in a batch.
    pub batch: Option<i64>,
    /// Whether a smaller last batch is left out.
    pub drop_last: bool,
    /// For `zip`: the data sets side by side; all else is then empty.
    pub zipped: Vec<Rc<DataValue>>,
    /// Where it is named.
    pub span: Span,
    /// Whether each epoch has an order of its own.
    pub shuffled: bool,
    /// Why nobody can tell how many samples there are of each class, where that is so.
    pub uncounted: Option<&'static str>,
    /// The same without the augmentation of its `data` item, which evaluations read in its place, where there is any.
    pub plain: Option<Rc<DataValue>>,
}

impl DataValue {
    /// What an evaluation reads: samples as they are, unless its own stages change them.
    pub fn unaugmented(self: &Rc<DataValue>) -> Rc<DataValue> {
        if self.zipped.is_empty() {
            return self.plain.as_ref().unwrap_or(self).clone();
        }
        let mut value = (**self).clone();
        value
            .zipped
            .iter_mut()
            .for_each(|data| *data = data.unaugmented());
        Rc::new(value)
    }

    /// How many samples a batch has that is not what is left of an epoch; fewer where there are no more.
    pub fn full_batch(&self) -> Option<i64> {
        let first = self.zipped.first().map_or(self, |first| first);
        let (batch, count) = (first.batch?, first.splits.get(first.split?)?.count);
        Some(match count {
            UNKNOWN_COUNT => batch,
            count => batch.min(count),
        })
    }

    /// The sizes of its batches, the full one first; none where only reading the data tells.
    pub fn batch_sizes(&self) -> Vec<i64> {
        let (Some(full), Some((smallest, _))) = (self.full_batch(), self.smallest_batch()) else {
            return Vec::new();
        };
        let mut sizes = vec![full, smallest];
        sizes.dedup();
        sizes
    }

    /// How many samples the smallest batch has, and whether that is what is left after full ones; `None` where only
    /// reading the data tells. Sets after the first of a `zip` cycle, and give as many.
    pub fn smallest_batch(&self) -> Option<(i64, bool)> {
        let first = self.zipped.first().map_or(self, |first| first);
        let (batch, count) = (first.batch?, first.splits.get(first.split?)?.count);
        if count == UNKNOWN_COUNT {
            return None;
        }
        match count % batch {
            _ if count < batch => Some((count, false)),
            0 => Some((batch, false)),
            _ if first.drop_last => Some((batch, false)),
            rest => Some((rest, true)),
        }
    }
}

impl Elaborator<'_> {
    /// The value of a `data` item, described once.
    pub fn data_item(
        &mut self,
        tree: &Rc<File>,
        index: usize,
        file: usize,
        name: &str,
        span: Span,
    ) -> Checked<Value> {
        let key = (file, name.to_owned());
        if let Some(known) = self.described.get(&key) {
            return known.clone().map(Value::Data);
        }
        self.guard_cycle(file, name, span)?;
        self.computing.push(key.clone());
        let replaced = if file == 0 {
            self.data_override(name)
        } else {
            None
        };
        let mut frame = Frame::new(FrameKind::File, file, span);
        frame.hidden = Some(name.to_owned());
        let tree = tree.clone();
        let (described, _) =
            self.within(frame, |this| match (replaced, item_value(&tree, index)) {
                (Some((expr, base)), _) => this.describe(name, &*expr?, base),
                (None, Some((_, expr))) => {
                    let folder = this.files[file].folder.clone();
                    this.describe(name, expr, PathBase::Folder(folder))
                }
                (None, None) => Err(super::diagnose::Poison),
            });
        self.computing.pop();
        self.described.insert(key, described.clone());
        described.map(Value::Data)
    }

    fn describe(&mut self, name: &str, expr: &Expr, base: PathBase) -> Checked<Rc<DataValue>> {
        let (source, stages) = match &expr.unparenthesized().kind {
            ExprKind::Pipe { source, stages } => (source.as_ref(), stages.as_slice()),
            _ => (expr, &[][..]),
        };
        let mut value = self.source(name, source, base)?;
        let mut plain = value.plain.take().map(|plain| (*plain).clone());
        for stage in stages {
            let augments = stage_name(stage).is_some_and(stages::augments);
            plain = match (plain, augments) {
                (None, true) => Some(self.fork(&value, name)),
                (Some(plain), false) => Some(self.stage(plain, stage)?),
                (plain, _) => plain,
            };
            value = self.stage(value, stage)?;
        }
        let plain = plain.map(|plain| Rc::new(self.settled(plain)));
        let mut value = self.settled(value);
        value.plain = plain;
        Ok(Rc::new(value))
    }

    /// Makes the stages so far those of the data set itself.
    fn settled(&mut self, mut value: DataValue) -> DataValue {
        let stages = std::mem::take(&mut value.stages);
        self.datasets[value.dataset].stages.extend(stages);
        value
    }

    /// The same data in a data set of its own, with that name.
    fn fork(&mut self, value: &DataValue, name: &str) -> DataValue {
        let mut copy = value.clone();
        let mut spec = self.datasets[copy.dataset].clone();
        spec.name = name.to_owned();
        self.datasets.push(spec);
        copy.dataset = self.datasets.len() - 1;
        copy
    }

    /// A source, or another data set to build on.
    fn source(&mut self, name: &str, expr: &Expr, base: PathBase) -> Checked<DataValue> {
        let (word, items) = match &expr.unparenthesized().kind {
            ExprKind::Name(word) => (word.as_str(), &[][..]),
            ExprKind::Bracket { base, items } => match base.as_name() {
                Some(word) => (word, items.as_slice()),
                None => return Err(self.no_source(expr.span)),
            },
            _ => return Err(self.no_source(expr.span)),
        };
        if !SOURCES.contains(&word) {
            return self.other_data(name, word, expr.span);
        }
        let source = SourceSpec {
            name: word.to_owned(),
            arguments: self.plain_arguments(items)?,
            span: expr.span,
            base,
        };
        let described = self.catalog.describe(&source);
        let description: SourceDescription = described.map_err(|reason| {
            let named = format!("`{word}`: ");
            let message = match reason.starts_with(&named) {
                true => reason,
                false => named + &reason,
            };
            self.report(error(codes::DATA_SOURCE, expr.span, message))
        })?;
        let stages = Vec::new();
        self.datasets.push(DataSpec {
            name: name.to_owned(),
            source,
            stages,
            span: expr.span,
        });
        Ok(DataValue {
            dataset: self.datasets.len() - 1,
            parts: description.parts,
            splits: description.splits,
            split: None,
            stages: Vec::new(),
            batch: None,
            drop_last: false,
            zipped: Vec::new(),
            span: expr.span,
            shuffled: false,
            uncounted: None,
            plain: None,
        })
    }

    fn no_source(&mut self, span: Span) -> super::diagnose::Poison {
        let message = "data begins with a source";
        self.report(
            error(codes::DATA_SOURCE, span, message)
                .help("for example `digits[]` or `mnist[\"folder\"]`"),
        )
    }

    /// `data b = a |> …`: another data set with further stages.
    fn other_data(&mut self, name: &str, word: &str, span: Span) -> Checked<DataValue> {
        let file = self.frame().file;
        let known = self.item(file, word).is_some() && self.frame().hidden.as_deref() != Some(word);
        if known && let Value::Data(data) = self.lookup(word, span)? {
            let mut copy = self.fork(&data, name);
            copy.plain = data
                .plain
                .as_ref()
                .map(|plain| Rc::new(self.fork(plain, name)));
            return Ok(copy);
        }
        let near = suggest(word, SOURCES.iter().copied()).map(str::to_owned);
        let message = format!("`{word}` is no source of data");
        Err(self.report(
            error(codes::DATA_SOURCE, span, message)
                .did_you_mean(near.as_deref())
                .note(format!("sources are {}", SOURCES.join(", "))),
        ))
    }

    /// `data |> stages` in a `step`, an `eval` or a `let`.
    pub fn data_pipeline(&mut self, data: Value, stages: &[Expr]) -> Checked<Value> {
        let Value::Data(data) = data else {
            return Err(super::diagnose::Poison);
        };
        if let (false, Some(stage)) = (data.zipped.is_empty(), stages.first()) {
            let word = stage_name(stage).unwrap_or("this");
            let message =
                format!("`{word}` after `zip`, whose data sets have their stages already");
            let help = "each has its own: `zip(a.train |> batch[64], b.train |> batch[64])`";
            return Err(self.report(error(codes::DATA_STAGE, stage.span, message).help(help)));
        }
        let mut value = (*data).clone();
        let mut plain = value.plain.take();
        for stage in stages {
            self.not_a_split(stage)?;
            value = self.stage(value, stage)?;
            if let Some(own) = plain.take() {
                plain = Some(Rc::new(self.stage((*own).clone(), stage)?));
            }
        }
        value.plain = plain;
        Ok(Value::Data(Rc::new(value)))
    }

    /// An error for `split` outside of a `data` item: there only one part of the data is read.
    fn not_a_split(&mut self, stage: &Expr) -> Checked<()> {
        if stage_name(stage) != Some("split") {
            return Ok(());
        }
        let message = "`split` stands in the `data` item, before a split is taken";
        Err(self.report(error(codes::DATA_STAGE, stage.span, message)))
    }

    fn stage(&mut self, value: DataValue, stage: &Expr) -> Checked<DataValue> {
        let word = stage_name(stage);
        let items = match &stage.unparenthesized().kind {
            ExprKind::Bracket { items, .. } => items.as_slice(),
            _ => &[][..],
        };
        let known = word.and_then(stages::find);
        let Some(kind) = known else {
            let word = word.unwrap_or("this");
            let near = suggest(word, stages::names()).map(str::to_owned);
            let message = format!("`{word}` is no stage of data");
            return Err(self.report(
                error(codes::DATA_STAGE, stage.span, message)
                    .did_you_mean(near.as_deref())
                    .note(format!(
                        "stages are {}",
                        stages::names().collect::<Vec<_>>().join(", ")
                    )),
            ));
        };
        if kind.name == "map" {
            let mut value = value;
            let given = self.given_statics(items)?;
            let spec = self.map_stage(&mut value, &given, stage.span)?;
            value.stages.push(spec);
            return Ok(value);
        }
        let spec = StageSpec {
            name: kind.name.to_owned(),
            arguments: self.plain_arguments(items)?,
            span: stage.span,
        };
        let mut value = value;
        let before = value.parts.clone();
        if let Err(reason) = stages::apply(kind, &spec, &mut value) {
            let message = format!("`{}` {reason}", kind.name);
            return Err(self.report(error(codes::DATA_STAGE, stage.span, message)));
        }
        // A batch is made by whoever feeds; the compiler itself knows what it takes.
        if kind.name != "batch" {
            let checked = self.catalog.check_stage(&spec, &before);
            checked.map_err(|reason| self.report(error(codes::DATA_STAGE, stage.span, reason)))?;
        }
        Ok(value)
    }

    /// What stands in brackets, as plain data.
    fn plain_arguments(&mut self, items: &[BracketItem]) -> Checked<Vec<StaticArgument>> {
        let given = self.given_statics(items)?;
        given
            .into_iter()
            .map(|given| self.plain_argument(given))
            .collect()
    }

    fn plain_argument(&mut self, given: GivenStatic) -> Checked<StaticArgument> {
        match plain(&given.value) {
            Some(value) => Ok(StaticArgument {
                name: given.name,
                value,
            }),
            None => {
                let message = format!(
                    "data takes plain compile-time values, this is {}",
                    given.value.kind()
                );
                Err(self.report(error(codes::NOT_COMPILE_TIME, given.span, message)))
            }
        }
    }

    /// `data.train`, `data.train.count` …
    pub fn data_member(&mut self, data: &Rc<DataValue>, name: &Ident) -> Checked<Value> {
        if let Some(split) = data.split {
            return self.split_member(data, split, name);
        }
        let found = data.splits.iter().position(|split| split.name == name.name);
        if let Some(split) = found {
            let take = |data: &DataValue| DataValue {
                split: Some(split),
                span: name.span,
                ..data.clone()
            };
            let mut value = take(data);
            value.plain = data.plain.as_ref().map(|plain| Rc::new(take(plain)));
            return Ok(Value::Data(Rc::new(value)));
        }
        let names: Vec<&str> = data
            .splits
            .iter()
            .map(|split| split.name.as_str())
            .collect();
        let near = suggest(&name.name, names.iter().copied()).map(str::to_owned);
        let message = format!("this data has no split `{}`", name.name);
        Err(self.report(
            error(codes::UNKNOWN_MEMBER, name.span, message)
                .did_you_mean(near.as_deref())
                .note(format!("its splits are {}", names.join(", "))),
        ))
    }

    /// `zip(a, b)`: data sets side by side.
    pub fn zip(&mut self, values: Vec<(Value, Span)>, span: Span) -> Checked<Value> {
        let mut zipped = Vec::new();
        for (value, at) in values {
            match value {
                Value::Data(data) => zipped.push(data),
                other => return Err(self.not_data(&other, at)),
            }
        }
        let Some(first) = zipped.first() else {
            let message = "`zip` of nothing";
            return Err(self.report(error(codes::NOT_DATA, span, message)));
        };
        let mut value = (**first).clone();
        value.zipped = zipped;
        value.span = span;
        Ok(Value::Data(Rc::new(value)))
    }

    /// The report that something is no data.
    pub fn not_data(&mut self, value: &Value, at: Span) -> super::diagnose::Poison {
        let message = format!("data is needed, this is {}", value.kind());
        self.report(
            error(codes::NOT_DATA, at, message).help("`data images = digits[]` defines some"),
        )
    }
}

/// The word that a stage begins with.
fn stage_name(stage: &Expr) -> Option<&str> {
    match &stage.unparenthesized().kind {
        ExprKind::Name(word) => Some(word),
        ExprKind::Bracket { base, .. } => base.as_name(),
        _ => None,
    }
}

/// A compile-time value as plain data.
fn plain(value: &Value) -> Option<StaticValue> {
    Some(match value {
        Value::None => StaticValue::None,
        Value::Bool(value) => StaticValue::Bool(*value),
        Value::Int(value) => StaticValue::Int(*value),
        Value::Ratio(..) | Value::Float(_) => StaticValue::Float(value.as_float()?),
        Value::Text(text) => StaticValue::Text(text.to_string()),
        Value::List(items) | Value::Tuple(items) => {
            StaticValue::List(items.iter().map(plain).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
