//! How many batches data has: none is a mistake, and fewer than a run counts on too.

use super::codes;
use super::context::Elaborator;
use super::data::{DataValue, UNKNOWN_COUNT};
use super::diagnose::error;
use dlm_grammar::Span;

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
}
