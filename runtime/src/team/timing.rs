//! Where the time of a run went, by call site.

use crate::program::Program;

/// One call of the program: its place, and the time all workers together spent in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTime {
    /// The phase's number.
    pub phase: usize,
    /// The group's name.
    pub group: String,
    /// The kernel's name.
    pub kernel: String,
    /// How often it was called.
    pub calls: u64,
    /// The time of all these calls, summed over workers.
    pub nanoseconds: u64,
}

/// The time of every call site, in program order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// One entry per call in the program.
    pub calls: Vec<CallTime>,
}

/// One worker's sums, by call site: calls, nanoseconds.
pub(super) type Sums = Vec<(u64, u64)>;

impl Timing {
    /// A timing of this program with all sums 0.
    pub fn new(program: &Program) -> Timing {
        let mut calls = Vec::new();
        for (phase, group) in program
            .phases
            .iter()
            .enumerate()
            .flat_map(|(n, phase)| phase.groups.iter().map(move |g| (n, g)))
        {
            calls.extend(group.calls.iter().map(|call| CallTime {
                phase,
                group: group.name.clone(),
                kernel: program.kernels[call.kernel.0 as usize].0.clone(),
                calls: 0,
                nanoseconds: 0,
            }));
        }
        Timing { calls }
    }

    pub(super) fn add(&mut self, sums: &Sums) {
        for (call, (calls, nanoseconds)) in self.calls.iter_mut().zip(sums) {
            call.calls += calls;
            call.nanoseconds += nanoseconds;
        }
    }
}
