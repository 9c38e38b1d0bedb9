//! `data.train.count`, `.class_counts` …: what is known of a split when the program is compiled.

use super::codes;
use super::context::Elaborator;
use super::data::{DataValue, UNKNOWN_COUNT};
use super::diagnose::{Checked, Poison, error};
use super::program::StageSpec;
use super::value::Value;
use super::world::SplitDescription;
use dlm_grammar::ast::Ident;
use dlm_grammar::suggest;

/// What a split is asked for.
const MEMBERS: &[&str] = &["count", "classes", "class_counts", "shape", "vocab"];

/// The stages that choose among samples, or look at labels to do so.
const CHOOSING: &[&str] = &[
    "split",
    "take",
    "shuffle",
    "balance",
    "filter_class",
    "chars",
    "window",
];

impl Elaborator<'_> {
    /// `data.train.count`
    pub fn split_member(&mut self, data: &DataValue, split: usize, name: &Ident) -> Checked<Value> {
        let described = &data.splits[split];
        let value = match name.name.as_str() {
            "count" => return self.split_count(data, split, name),
            "class_counts" => return self.class_counts(data, split, name),
            "classes" => classes(data).map(Value::Int),
            "shape" => data.parts.first().map(|part| Value::ints(&part.shape)),
            "vocab" => described.vocab.map(Value::Int),
            other => {
                let near = suggest(other, MEMBERS.iter().copied()).map(str::to_owned);
                let message = format!("a split of data has no `.{other}`");
                let diagnostic = error(codes::UNKNOWN_MEMBER, name.span, message);
                let note = format!("it has {}", MEMBERS.join(", "));
                return Err(self.report(diagnostic.did_you_mean(near.as_deref()).note(note)));
            }
        };
        value.ok_or_else(|| self.not_known(name, "it has no labels or characters that are counted"))
    }

    fn split_count(&mut self, data: &DataValue, split: usize, name: &Ident) -> Checked<Value> {
        if data.splits[split].count != UNKNOWN_COUNT {
            return Ok(Value::Int(data.splits[split].count));
        }
        match self.counted(data, split) {
            Ok(counted) => Ok(Value::Int(counted.count)),
            Err(reason) => Err(self.not_known(name, &reason)),
        }
    }

    fn class_counts(&mut self, data: &DataValue, split: usize, name: &Ident) -> Checked<Value> {
        let known = &data.splits[split].class_counts;
        if classes(data).is_none() {
            return Err(self.not_known(name, "it has no labels that are classes"));
        }
        if let Some(reason) = data.uncounted {
            return Err(self.not_known(name, reason));
        }
        if !known.is_empty() {
            return Ok(Value::ints(known));
        }
        match self.counted(data, split) {
            Ok(counted) if !counted.class_counts.is_empty() => {
                Ok(Value::ints(&counted.class_counts))
            }
            Ok(_) => Err(self.not_known(name, "its labels are not one class for each sample")),
            Err(reason) => Err(self.not_known(name, &reason)),
        }
    }

    /// The counts of a split as the run will make it.
    fn counted(&self, data: &DataValue, split: usize) -> Result<SplitDescription, String> {
        let spec = &self.datasets[data.dataset];
        let (whole, own) = (choosing(&spec.stages), choosing(&data.stages));
        let name = &data.splits[split].name;
        self.catalog.count(&spec.source, &whole, name, &own)
    }

    fn not_known(&mut self, name: &Ident, reason: &str) -> Poison {
        let message = format!("`.{}` of this data is not known: {reason}", name.name);
        self.report(error(codes::UNKNOWN_MEMBER, name.span, message))
    }
}

fn choosing(stages: &[StageSpec]) -> Vec<StageSpec> {
    let stages = stages.iter();
    stages
        .filter(|stage| CHOOSING.contains(&stage.name.as_str()))
        .cloned()
        .collect()
}

fn classes(data: &DataValue) -> Option<i64> {
    data.parts.iter().find_map(|part| part.classes)
}
