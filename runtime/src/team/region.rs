//! What each worker of a region does: steps, phases, tasks.
//!
//! Why there is no data race. The state of a region is of three kinds:
//! - each worker's own: its argument tables, its scratch buffer, its time sums;
//! - [`Serial`], touched only inside the barrier's serial section, which one worker runs while all others wait;
//! - the program's buffers, touched by kernels as [`Executable::new`]'s caller has promised (within a phase no task
//!   touches what another writes, and a barrier stands between phases; a serial phase is part of the serial section),
//!   by [`Driver::fill`] through disjoint slices in a phase of its own, and by the driver in the serial section.

use std::cell::UnsafeCell;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::barrier::{Barrier, Broken};
use super::feed::{part, part_count};
use super::flush;
use super::table::{Bases, GroupTable, Now};
use super::timing::Sums;
use super::{Driver, RunError, StepMemory};
use crate::memory::{Buffer, Memory};
use crate::program::{Executable, Pace, Tasks, Way, share};

/// A counter on a cache line of its own.
#[repr(align(64))]
#[derive(Default)]
struct Counter(AtomicU64);

/// What only the serial section touches.
struct Serial<'a> {
    driver: &'a mut (dyn Driver + 'a),
    persistent: &'a mut Buffer,
    arena: &'a mut Buffer,
    /// Steps done.
    done: u64,
    /// Steps to be done at most.
    count: u64,
    begun: bool,
    /// Who does them.
    pace: Pace,
    error: Option<RunError>,
}

/// A run of many steps by all workers.
pub(super) struct Region<'a> {
    program: &'a Executable,
    workers: usize,
    barrier: Barrier,
    serial: UnsafeCell<Serial<'a>>,
    persistent: u64,
    arena: u64,
    scratch: Vec<u64>,
    running: AtomicBool,
    batch: AtomicU64,
    parts: AtomicU64,
    /// Of the parts to be filled, then of each group of each phase: one counter per worker.
    claims: Vec<Counter>,
}

// SAFETY: the module comment says who touches what when. The driver is `Send + Sync`, buffers are `Send`, the program
// is shared read-only (function pointers and plain data; `keep_alive` is `Send + Sync`).
unsafe impl Sync for Region<'_> {}

/// One worker's tables of a phase.
struct PhaseTables {
    serial: bool,
    groups: Vec<GroupTable>,
}

/// One worker's state.
pub(super) struct Worker {
    index: usize,
    phases: Vec<PhaseTables>,
    batch: u64,
    /// Calls and nanoseconds by call site, where they are wanted.
    pub(super) sums: Option<Sums>,
}

impl<'a> Region<'a> {
    pub(super) fn new(
        program: &'a Executable,
        memory: Memory<'a>,
        driver: &'a mut (dyn Driver + 'a),
        (workers, pace): (usize, Pace),
        count: u64,
    ) -> Region<'a> {
        let Memory {
            persistent,
            arena,
            scratch,
        } = memory;
        let groups: usize = program.phases.iter().map(|phase| phase.groups.len()).sum();
        let (persistent_base, arena_base) = (persistent.base() as u64, arena.base() as u64);
        let serial = Serial {
            driver,
            persistent,
            arena,
            done: 0,
            count,
            begun: false,
            pace,
            error: None,
        };
        Region {
            program,
            workers,
            barrier: Barrier::new(workers as u32),
            serial: UnsafeCell::new(serial),
            persistent: persistent_base,
            arena: arena_base,
            scratch: scratch
                .buffers()
                .iter()
                .map(|buffer| buffer.base() as u64)
                .collect(),
            running: AtomicBool::new(true),
            batch: AtomicU64::new(0),
            parts: AtomicU64::new(0),
            claims: (0..(groups + 1) * workers)
                .map(|_| Counter::default())
                .collect(),
        }
    }

    /// Steps done, the error that ended them, and what is known of the steps' pace.
    pub(super) fn finish(self) -> (u64, Option<RunError>, Pace) {
        let mut serial = self.serial.into_inner();
        serial.pace.pause();
        (serial.done, serial.error, serial.pace)
    }

    /// Lets all workers go that wait for one that will not come.
    pub(super) fn break_barrier(&self) {
        self.barrier.break_it();
    }

    pub(super) fn worker(&self, index: usize, timed: Option<u32>) -> Worker {
        let bases = Bases {
            persistent: self.persistent,
            arena: self.arena,
            scratch: self.scratch[index],
        };
        let mut site = 0;
        let mut phases = Vec::with_capacity(self.program.phases.len());
        for phase in &self.program.phases {
            let mut tables = Vec::with_capacity(phase.groups.len());
            for group in &phase.groups {
                tables.push(GroupTable::new(self.program, group, bases, site));
                site += group.calls.len();
            }
            phases.push(PhaseTables {
                serial: phase.serial,
                groups: tables,
            });
        }
        Worker {
            index,
            phases,
            batch: 0,
            sums: timed.map(|repeats| Sums::new(site, repeats)),
        }
    }

    /// Runs steps until the driver or the count ends them, or another worker panics.
    pub(super) fn work(&self, worker: &mut Worker) -> Result<(), Broken> {
        loop {
            // SAFETY: `advance` runs in the barrier's serial section.
            self.barrier.wait(|| unsafe { self.advance(worker) })?;
            if !self.running.load(Ordering::Relaxed) {
                return Ok(());
            }
            worker.set_batch(self.batch.load(Ordering::Relaxed));
            if self.parts.load(Ordering::Relaxed) > 0 {
                self.fill_parts(worker);
                self.barrier.wait(|| ())?;
            }
            self.run_phases(worker)?;
        }
    }

    /// Ends a step and begins the next. Steps that one worker is to do alone are done here, by the worker that came last,
    /// while the others wait.
    ///
    /// # Safety
    /// No other worker does anything but wait at the barrier.
    unsafe fn advance(&self, worker: &mut Worker) {
        // SAFETY: nobody else touches `serial` by this function's contract, and each reference ends with its call.
        let next = || unsafe { (*self.serial.get()).next(self.program) };
        while let Some((batch, fills, way)) = next() {
            let parts = match fills {
                true => part_count(self.program, batch),
                false => 0,
            };
            if way == Way::Together {
                self.batch.store(batch, Ordering::Relaxed);
                self.parts.store(parts, Ordering::Relaxed);
                self.claims
                    .iter()
                    .for_each(|counter| counter.0.store(0, Ordering::Relaxed));
                return;
            }
            worker.set_batch(batch);
            (0..parts).for_each(|number| self.fill_part(batch, number));
            run_serial(&mut worker.phases, batch, worker.sums.as_mut());
        }
        self.running.store(false, Ordering::Relaxed);
    }

    fn fill_parts(&self, worker: &Worker) {
        let (batch, parts) = (worker.batch, self.parts.load(Ordering::Relaxed));
        self.claim(0, worker.index, parts, |number| {
            self.fill_part(batch, number)
        });
    }

    /// Fills one part of the inputs, which no other worker does.
    fn fill_part(&self, batch: u64, number: u64) {
        let Some(part) = part(self.program, batch, number) else {
            return;
        };
        // SAFETY: parts are disjoint and inside the arena (the program's check), each is claimed once, or filled by the
        // only worker that is at work, and in this phase nothing else touches the arena. The driver is only shared
        // between serial sections.
        let (driver, destination) = unsafe {
            let begin = (self.arena + part.offset_bytes) as *mut u8;
            let driver: &dyn Driver = &*(*self.serial.get()).driver;
            (
                driver,
                std::slice::from_raw_parts_mut(begin, part.bytes as usize),
            )
        };
        driver.fill(&part, destination);
    }

    fn run_phases(&self, worker: &mut Worker) -> Result<(), Broken> {
        let Worker {
            index,
            phases,
            batch,
            sums,
        } = worker;
        let mut group = 1;
        let mut rest = phases.as_mut_slice();
        while let Some((tables, behind)) = rest.split_first_mut() {
            for stealing in [false, true] {
                if stealing && self.workers == 1 {
                    continue;
                }
                for (offset, table) in tables.groups.iter_mut().enumerate() {
                    let tasks = table.tasks.count(*batch);
                    let run = |task| run_task(table, *batch, task, sums.as_mut());
                    if stealing {
                        self.steal(group + offset, *index, tasks, run);
                    } else {
                        self.claim(group + offset, *index, tasks, run);
                    }
                }
            }
            group += tables.groups.len();
            let count = behind.iter().take_while(|tables| tables.serial).count();
            let (serial, next) = behind.split_at_mut(count);
            group += serial
                .iter()
                .map(|tables| tables.groups.len())
                .sum::<usize>();
            // The barrier after the last phase is the one at which the next step begins.
            if count > 0 || !next.is_empty() {
                self.barrier
                    .wait(|| run_serial(serial, *batch, sums.as_mut()))?;
            }
            rest = next;
        }
        Ok(())
    }

    /// Runs those of `tasks` that are this worker's share, unless another worker has taken them. A task's
    /// share, and so mostly its core, is the same in each step: what it writes stays in that core's cache.
    fn claim(&self, group: usize, worker: usize, tasks: u64, mut run: impl FnMut(u64)) {
        self.take(group, worker, tasks, &mut run);
        if group == 0 {
            self.steal(group, worker, tasks, run);
        }
    }

    /// Runs those of `tasks` that other workers have not come to yet.
    fn steal(&self, group: usize, worker: usize, tasks: u64, mut run: impl FnMut(u64)) {
        for distance in 1..self.workers {
            self.take(group, (worker + distance) % self.workers, tasks, &mut run);
        }
    }

    fn take(&self, group: usize, owner: usize, tasks: u64, run: &mut impl FnMut(u64)) {
        let (begin, end) = share(tasks, self.workers as u64, owner as u64);
        let counter = &self.claims[group * self.workers + owner].0;
        while counter.load(Ordering::Relaxed) < end - begin {
            let task = begin + counter.fetch_add(1, Ordering::Relaxed);
            if task < end {
                run(task);
            }
        }
    }
}

impl Serial<'_> {
    /// The next step's batch, whether the driver fills inputs, and who does it; none when there is no next step.
    fn next(&mut self, program: &Executable) -> Option<(u64, bool, Way)> {
        let Serial {
            driver,
            persistent,
            arena,
            ..
        } = self;
        let mut memory = StepMemory {
            program,
            persistent,
            arena,
        };
        if self.begun {
            self.done += 1;
            if driver.after(self.done - 1, &mut memory).is_break() {
                return None;
            }
        }
        self.begun = true;
        if self.done >= self.count {
            return None;
        }
        let ControlFlow::Continue(batch) = driver.before(self.done, &mut memory) else {
            return None;
        };
        if !program.takes_batch(batch) {
            self.error = Some(RunError::Batch {
                batch,
                min_batch: program.min_batch,
                max_batch: program.max_batch,
            });
            return None;
        }
        let fills = driver.fills();
        self.pace.step(Instant::now);
        Some((batch, fills, self.pace.way()))
    }
}

impl Worker {
    fn set_batch(&mut self, batch: u64) {
        if batch == self.batch {
            return;
        }
        self.batch = batch;
        let now = Now {
            batch,
            ..Now::default()
        };
        self.phases
            .iter_mut()
            .flat_map(|phase| &mut phase.groups)
            .for_each(|table| table.patch_batch(now));
    }
}

/// Runs all tasks of serial phases in order.
fn run_serial(phases: &mut [PhaseTables], batch: u64, mut sums: Option<&mut Sums>) {
    for table in phases.iter_mut().flat_map(|phase| &mut phase.groups) {
        for task in 0..table.tasks.count(batch) {
            run_task(table, batch, task, sums.as_deref_mut());
        }
    }
}

/// Runs one task: clears its bytes, then makes its calls, for each of its blocks if it has blocks.
fn run_task(table: &mut GroupTable, batch: u64, task: u64, mut sums: Option<&mut Sums>) {
    let (begin, end) = table.tasks.range(batch, task);
    let mut now = Now {
        batch,
        task,
        begin,
        end,
        ..Now::default()
    };
    for zero in &table.zeros {
        let address = (zero.base + task * zero.stride) as *mut u8;
        // SAFETY: inside its buffer for every task (the program's check), and by `Executable::new`'s contract only
        // this task's in this phase.
        unsafe { std::ptr::write_bytes(address, 0, zero.bytes) }
    }
    table.patch_task(now);
    if !matches!(table.tasks, Tasks::Blocks { .. }) {
        table.patch_block(now);
        return call_all(table, now, sums);
    }
    for block in begin..end {
        now.block = block;
        table.patch_block(now);
        call_all(table, now, sums.as_deref_mut());
    }
}

/// Makes a group's calls, those in loops for each round.
fn call_all(table: &mut GroupTable, mut now: Now, mut sums: Option<&mut Sums>) {
    let mut next = 0;
    for number in 0..table.loops.len() {
        let repeat = table.loops[number].own;
        let (first, end) = repeat.range();
        call_some(table, next..first, sums.as_deref_mut());
        for step in 0..repeat.rounds {
            now.round = repeat.round(step);
            table.patch_round(number, now);
            call_some(table, first..end, sums.as_deref_mut());
        }
        next = end;
    }
    call_some(table, next..table.calls.len(), sums);
}

fn call_some(table: &GroupTable, calls: Range<usize>, mut sums: Option<&mut Sums>) {
    for call in &table.calls[calls] {
        let arguments = table.values[call.first..].as_ptr();
        // SAFETY: the arguments are the call's own, patched for this task and block; the rest is promised by
        // `Executable::new`'s caller. A call that is made again touches what it has touched: no place depends
        // on what it has added up, as kernels clamp the ids by which they read.
        let own = || unsafe { flush::call(call.entry, arguments) };
        match sums.as_deref_mut() {
            Some(sums) => sums.time(call.site, own),
            None => own(),
        }
    }
}
