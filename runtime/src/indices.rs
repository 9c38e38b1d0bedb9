//! Indices that a program computes and that were out of range, as its reports of kind [`ReportKind::Check`] tell.

use crate::memory::Buffer;
use crate::program::{NO_SAMPLE, Program, ReportKind, Slot, Space};
use crate::team::StepMemory;

/// An index out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample {sample} of the batch gives the index {value}, which is out of range ({name})")]
pub struct BadIndex {
    /// The report that tells of it.
    pub name: String,
    /// The first sample of the batch that has one, from 0.
    pub sample: i32,
    /// The largest of that sample's.
    pub value: i32,
}

/// Where a program tells of its indices.
#[derive(Debug)]
pub(crate) struct Checks {
    slots: Vec<Slot>,
}

impl Checks {
    pub(crate) fn of(program: &Program) -> Checks {
        let reports = program.reports.iter();
        let checks = reports.filter(|report| report.kind == ReportKind::Check);
        Checks {
            slots: checks.map(|report| report.slot.clone()).collect(),
        }
    }

    /// The first check that failed in the step that has just run.
    pub(crate) fn failed(&self, memory: &StepMemory<'_>) -> Option<BadIndex> {
        self.first(|slot| memory.view::<i32>(Space::Arena, slot.offset_bytes, 2))
    }

    /// The same, of a program's memory.
    pub(crate) fn failed_in(&self, arena: &Buffer) -> Option<BadIndex> {
        self.first(|slot| arena.view::<i32>(slot.offset_bytes, 2))
    }

    fn first<'m>(&self, read: impl Fn(&Slot) -> &'m [i32]) -> Option<BadIndex> {
        self.slots.iter().find_map(|slot| match *read(slot) {
            [sample, value] if sample != NO_SAMPLE => Some(BadIndex {
                name: slot.name.clone(),
                sample,
                value,
            }),
            _ => None,
        })
    }
}

/// Ends with what a program that has just run tells of its indices.
///
/// # Errors
/// The first index out of range.
pub fn check(program: &Program, arena: &Buffer) -> Result<(), BadIndex> {
    Checks::of(program).failed_in(arena).map_or(Ok(()), Err)
}
