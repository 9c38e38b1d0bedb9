//! The verifier of plans: what keeps parallel code honest.
//!
//! [`Rule`] lists every rule; each has a failing test. What a kernel does inside the memory that a call gives it is
//! not seen here: that a kernel which takes a range writes only its range's part, that a kernel which writes fills
//! its buffer, and that it stays inside, is for the verifier of loop IR and for the plan's evaluator, which gives
//! each call exactly its window of memory. In panels that reaches over other blocks' rows; the evaluator, which notes what
//! each block touches, finds who strays into them.
//!
//! Values are told apart by their buffers: where a plan writes a new version over an old one through the same buffer,
//! a later reader is taken to want the new one. Through another buffer that overlaps, the old version is gone, and
//! reading it is a fault.

mod accesses;
mod contents;
mod loops;
mod races;
mod structure;

use std::fmt;

use super::{BufferId, Plan};

macro_rules! rules {
    ($($(#[doc = $text:literal])* $rule:ident,)*) => {
        /// The rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[doc = $text])* $rule,)*
        }

        impl Rule {
            /// Every rule, in the order of the table.
            pub const ALL: &[Rule] = &[$(Rule::$rule),*];

            /// What it demands.
            pub fn text(self) -> &'static str {
                match self { $(Rule::$rule => concat!($($text),*).trim_ascii()),* }
            }
        }
    };
}

rules! {
    /// The batch, and every number of lanes, tasks and chunk, is at least 1; lanes and tasks take 32 bits.
    NotZero,
    /// Every buffer and kernel that is named exists.
    Exists,
    /// Offsets and partials' strides are multiples of 64, and strides of the element's size.
    Alignment,
    /// A buffer, its end rounded up to 64, lies within its space.
    WithinSpace,
    /// A buffer has room for its value at the largest batch: whole blocks in lanes, one block in scratch, a copy a task.
    Room,
    /// Only partials have a task stride, and no block stride; scratch has neither; a value in lanes has its block's size, one in panels a
    /// block's rows of a panel.
    Strides,
    /// A call binds as many buffers and scalars as its kernel takes.
    Arity,
    /// A call's buffers have the elements that its kernel declares.
    Elements,
    /// Block numbers and valid lanes stand in groups of blocks, ranges in groups of ranges, in calls that write always.
    Scalars,
    /// No two buffers of one call overlap.
    CallOverlap,
    /// Blocks of a buffer are as many samples as the blocks of the group that goes through them.
    BlockSize,
    /// Partials are zeroed by the group of blocks that adds to them, unless the call that does is told whether a block
    /// came before; nothing else is zeroed.
    Zeroed,
    /// What reads partials after the phase is told the number of tasks that wrote them.
    PartialCount,
    /// No task writes what another task of its phase reads or writes.
    Race,
    /// A serial phase stands behind another.
    Serial,
    /// Every read was written earlier, in the same block's calls or an earlier phase, or is an input.
    Written,
    /// What is read, leaves, or is kept between steps was not overwritten before.
    Overwritten,
    /// Parameters and states lie in the persistent space, data and scalars in the arena, none as partials or panels; names are used once.
    Ports,
    /// A row has its stack's place, element and block stride, and all rounds of the loops it is used in lie in the stack.
    Rows,
    /// Loops are calls of their group, in order, none twice, with a round or more; rounds are told, and rows used, in them alone.
    Loops,
    /// A commit copies between buffers of one element type, shape and plain layout, into the persistent space.
    Commits,
}

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message} ({})", .rule.text())]
pub struct Fault {
    /// Which.
    pub rule: Rule,
    /// Where: a buffer, or phase, group and call.
    pub place: String,
    /// How.
    pub message: String,
}

/// Checks every rule.
///
/// # Errors
/// Every fault, those of structure alone where there are some.
pub fn verify(plan: &Plan) -> Result<(), Vec<Fault>> {
    let mut faults = Faults::default();
    structure::check(plan, &mut faults);
    if faults.0.is_empty() {
        races::check(plan, &mut faults);
        contents::check(plan, &mut faults);
    }
    if faults.0.is_empty() {
        Ok(())
    } else {
        Err(faults.0)
    }
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault, once.
    fn add(&mut self, rule: Rule, place: impl fmt::Display, message: impl Into<String>) {
        let fault = Fault {
            rule,
            place: place.to_string(),
            message: message.into(),
        };
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// Adds a fault unless `holds`.
    fn unless(
        &mut self,
        holds: bool,
        rule: Rule,
        place: impl fmt::Display,
        message: impl FnOnce() -> String,
    ) {
        if !holds {
            self.add(rule, place, message());
        }
    }
}

/// `m3 "x"`.
fn named(plan: &Plan, id: BufferId) -> String {
    format!("{id} {:?}", plan.buffers[id].name)
}

#[cfg(test)]
mod tests;
