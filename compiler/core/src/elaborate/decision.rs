//! What a recurrence's counter may not do: decide an `if`, or size a dimension.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use dlm_grammar::Span;

/// What needs the value of a recurrence's counter, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// An `if`.
    If(Span),
    /// A size.
    Size(Span),
}

impl Elaborator<'_> {
    /// An `if` whose condition has no value; that may be because a counter has none.
    pub(super) fn undecided(&mut self, condition: Span) {
        self.needs_counter(Decision::If(condition));
    }

    /// A size that a counter would give.
    pub(super) fn sized_by_counter(&mut self, size: Span) {
        self.needs_counter(Decision::Size(size));
    }

    fn needs_counter(&mut self, decision: Decision) {
        for trace in &mut self.traces {
            trace.decided.get_or_insert(decision);
        }
    }

    /// An error where the counter of a recurrence has decided an `if` or a size; a loop whose body has made blocks is none.
    pub(super) fn refuse_decision(
        &mut self,
        decision: Decision,
        blocks_before: u64,
    ) -> Checked<()> {
        let (Decision::If(place) | Decision::Size(place)) = decision;
        if self.mentioned_blocks > blocks_before || self.reporter.is_library(place.file) {
            return Ok(());
        }
        let (message, help) = match decision {
            Decision::If(_) => (
                "the counter of a recurrence decides no `if`",
                "`where(condition, a, b)` or `if condition { a } else { b }` as an expression chooses in each round; a list, `for i in [0, 1, 2]`, is written out",
            ),
            Decision::Size(_) => (
                "the counter of a recurrence sizes no dimension",
                "a slice whose ends both move with the round is of one size, `x[i:i + 3]`; a list, `for i in [0, 1, 2]`, is written out",
            ),
        };
        Err(self.report(
            error(codes::CONDITION, place, message)
                .here("depends on the round")
                .note("a `for` over a range whose body makes no fresh block compiles to one loop for all rounds")
                .help(help),
        ))
    }
}
