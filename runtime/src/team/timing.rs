//! Where the time of a run went, by call site.

use std::time::Instant;

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
    /// How often each call is made again, one after the other: then their mean is its time, with what it reads and its code as near
    /// as the first has left them. Where it adds to what it reads, values are no longer the program's. With 0, the
    /// call itself is timed.
    pub repeats: u32,
}

/// One worker's sums.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    repeats: u32,
    /// By call site: calls, nanoseconds of all repetitions.
    calls: Vec<(u64, u64)>,
}

impl Sums {
    pub(super) fn new(sites: usize, repeats: u32) -> Sums {
        let calls = vec![(0, 0); sites];
        Sums { repeats, calls }
    }

    /// Makes a call of a site, and the calls after it that are timed in its place.
    pub(super) fn time(&mut self, site: usize, mut call: impl FnMut()) {
        if self.repeats > 0 {
            call();
        }
        let begin = Instant::now();
        for _ in 0..self.repeats.max(1) {
            call();
        }
        let time = begin.elapsed().as_nanos() as u64;
        let (calls, nanoseconds) = &mut self.calls[site];
        *calls += 1;
        *nanoseconds += time;
    }
}

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
        Timing { calls, repeats: 0 }
    }

    pub(super) fn add(&mut self, sums: &Sums) {
        for (call, (calls, nanoseconds)) in self.calls.iter_mut().zip(&sums.calls) {
            call.calls += calls;
            call.nanoseconds += nanoseconds / u64::from(sums.repeats.max(1));
        }
    }
}
