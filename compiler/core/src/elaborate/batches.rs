//! How many batches data has: none is a mistake, and fewer than a run counts on too.

use super::codes;
use super::context::Elaborator;
use super::data::{DataValue, UNKNOWN_COUNT};
use super::diagnose::error;
use super::program::RunSettings;
use dlm_grammar::ast::Train;
use dlm_grammar::{Diagnostic, Span};

impl DataValue {
    /// How many samples an epoch has, where that is known before the data is read.
    fn known_count(&self) -> Option<i64> {
        let count = self.splits.get(self.split?)?.count;
        (count != UNKNOWN_COUNT).then_some(count)
    }

    /// How many batches an epoch has, where that is known before the data is read.
    pub(super) fn batches(&self) -> Option<i64> {
        let first = self.zipped.first().map_or(self, |first| first);
        let (batch, count) = (first.batch?, first.known_count()?);
        Some(match first.drop_last {
            true => count / batch,
            false => count / batch + i64::from(count % batch > 0),
        })
    }
}

impl Elaborator<'_> {
    /// An error where an epoch has no batch.
    pub(super) fn holds_a_batch(&mut self, data: &DataValue, span: Span) {
        let first = data.zipped.first().map_or(data, |first| first);
        let (Some(0), Some(batch), Some(count)) =
            (data.batches(), first.batch, first.known_count())
        else {
            return;
        };
        let samples = super::call::counted(usize::try_from(count).unwrap_or(0), "sample");
        let message = format!(
            "an epoch has no batch: a batch takes {batch} samples, and there are {samples}"
        );
        let mut diagnostic = error(codes::NO_BATCH, span, message);
        if count > 0 {
            diagnostic = diagnostic.help(format!("`batch[{count}]`, or without `drop=true`"));
        }
        self.report(diagnostic);
    }

    /// Errors for settings that look at what an `eval` reports, in a run that has none.
    pub(super) fn check_unwatched(&mut self, train: &Train) {
        for name in ["keep", "patience"] {
            let Ok(Some((_, span))) = self.setting(train, name) else {
                continue;
            };
            let message = format!(
                "`{name}` looks at the first value that an `eval` reports, and this run has no `eval`"
            );
            let diagnostic = error(codes::REPORT, span, message);
            self.reporter_only(
                diagnostic.help("`eval (x, y) in data.test |> batch[100] { report … }`"),
            );
        }
    }

    /// Warnings for optimizers that collect gradients for longer than the run lasts.
    pub(super) fn warn_of_no_update(&mut self, settings: &RunSettings, batches: Option<i64>) {
        let of_epochs = settings.epochs.zip(batches);
        let of_epochs = of_epochs.map(|(epochs, batches)| epochs.saturating_mul(batches));
        let Some(steps) = settings.steps.or(of_epochs) else {
            return;
        };
        for record in self.optimizers.clone() {
            let is_count = |name: &Option<String>| name.as_deref() == Some("accumulate");
            let given = record
                .rule
                .statics
                .iter()
                .find(|given| is_count(&given.name));
            let Some((count, span)) =
                given.and_then(|given| Some((given.value.as_int()?, given.span)))
            else {
                continue;
            };
            if count > steps {
                let message = format!(
                    "`{}` updates nothing: it collects {count} gradients for an update, and the run has {steps} steps",
                    record.name
                );
                self.reporter_only(Diagnostic::warning(codes::UNTRAINED, span, message));
            }
        }
    }
}
