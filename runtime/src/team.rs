//! The worker team: runs the steps of a program on all its threads.
//!
//! A *region* is one fork and join of the team in which many steps run. Inside it, workers meet at barriers between
//! phases and claim tasks dynamically; nothing is allocated in a step.

mod barrier;
mod feed;
mod flush;
mod region;
mod table;
mod timing;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

pub use feed::Part;
pub use timing::{CallTime, Timing};

use crate::memory::{Buffer, Element, Memory, MemoryError};
use crate::program::{Executable, Pace, Program, Space, Way};
use region::{Region, Worker};

/// Why a program did not run, or stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The threads could not be made.
    #[error("cannot start {workers} threads: {reason}")]
    Threads {
        /// How many.
        workers: usize,
        /// What the system says.
        reason: String,
    },
    /// There is not enough memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A buffer is smaller than the program needs.
    #[error("the {buffer} has {available} bytes, the program needs {needed}")]
    TooSmall {
        /// Which.
        buffer: &'static str,
        /// Its size.
        available: u64,
        /// What the program needs.
        needed: u64,
    },
    /// The driver gave a batch that the program has no room for.
    #[error("a batch of {batch} samples, where {min_batch} to {max_batch} are possible")]
    Batch {
        /// The batch.
        batch: u64,
        /// The program's smallest.
        min_batch: u64,
        /// The program's largest.
        max_batch: u64,
    },
}

/// What a driver sees between steps, when no worker does anything else: the program's buffers through views, which
/// cannot be replaced by others.
pub struct StepMemory<'a> {
    program: &'a Program,
    persistent: &'a mut Buffer,
    arena: &'a mut Buffer,
}

impl StepMemory<'_> {
    /// The program that runs.
    pub fn program(&self) -> &Program {
        self.program
    }

    /// `count` elements of a buffer.
    ///
    /// # Panics
    /// When they do not lie in the buffer, are not aligned, or the space is [`Space::Scratch`].
    pub fn view<T: Element>(&self, space: Space, offset_bytes: u64, count: usize) -> &[T] {
        match space {
            Space::Persistent => self.persistent.view(offset_bytes, count),
            Space::Arena => self.arena.view(offset_bytes, count),
            Space::Scratch => panic!("scratch has no meaning between steps"),
        }
    }

    /// `count` elements of a buffer, to change them.
    ///
    /// # Panics
    /// As [`StepMemory::view`].
    pub fn view_mut<T: Element>(
        &mut self,
        space: Space,
        offset_bytes: u64,
        count: usize,
    ) -> &mut [T] {
        match space {
            Space::Persistent => self.persistent.view_mut(offset_bytes, count),
            Space::Arena => self.arena.view_mut(offset_bytes, count),
            Space::Scratch => panic!("scratch has no meaning between steps"),
        }
    }
}

/// Feeds a run of steps and reads what they report.
pub trait Driver: Send + Sync {
    /// Before step `step` (from 0), with all workers waiting: sets scalars, and any inputs that [`Driver::fill`] does
    /// not fill. Returns the number of samples in the batch, or ends the run.
    fn before(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64>;

    /// Whether this step's inputs are filled by [`Driver::fill`].
    fn fills(&self) -> bool {
        false
    }

    /// Fills a part of an input, in its stored layout. Many parts are filled at once by several workers, all of them
    /// before the step's first phase. `destination` holds what was there in an earlier step.
    fn fill(&self, part: &Part, destination: &mut [u8]) {
        let _ = (part, destination);
    }

    /// After step `step`, with all workers waiting: reads reports. May end the run.
    fn after(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<()> {
        let _ = (step, memory);
        ControlFlow::Continue(())
    }
}

/// A closure that does all feeding in [`Driver::before`].
impl<F> Driver for F
where
    F: FnMut(u64, &mut StepMemory<'_>) -> ControlFlow<(), u64> + Send + Sync,
{
    fn before(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        self(step, memory)
    }
}

/// Threads that run programs together. One region runs at a time; who needs several at once makes several teams.
pub struct Team {
    pool: Option<rayon::ThreadPool>,
    workers: usize,
    /// Small programs may be left to one worker.
    adapts: bool,
    region: Mutex<()>,
}

impl Team {
    /// A team of so many workers (at least one), all of which work. One worker is the calling thread itself.
    ///
    /// # Errors
    /// When the system refuses to start threads.
    pub fn new(workers: usize) -> Result<Team, RunError> {
        let workers = workers.max(1);
        let pool = if workers == 1 {
            None
        } else {
            Some(threads(workers)?)
        };
        Ok(Team {
            pool,
            workers,
            adapts: false,
            region: Mutex::new(()),
        })
    }

    /// A team with a worker per core that this process may use. Programs whose steps are so small that one worker is
    /// faster are left to one, as the times of their first steps tell.
    ///
    /// # Errors
    /// As [`Team::new`].
    pub fn of_machine() -> Result<Team, RunError> {
        let team = Team::new(std::thread::available_parallelism().map_or(1, usize::from))?;
        Ok(Team {
            adapts: team.workers > 1,
            ..team
        })
    }

    /// Who does the steps of a program; none while that is being found out.
    pub fn way(&self, program: &Executable) -> Option<Way> {
        let pace = match self.adapts {
            true => program.pace(),
            false => Pace::together(),
        };
        (!pace.is_open()).then_some(pace.way())
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Runs at most `count` steps of a program in one region and returns how many were done. Results do not depend on the
    /// number of workers. Must not be called from within one of this team's drivers.
    ///
    /// # Errors
    /// When a buffer is too small or the driver gives an impossible batch.
    ///
    /// # Panics
    /// When the driver panics, with its panic.
    pub fn run_steps(
        &self,
        program: &Executable,
        memory: Memory<'_>,
        count: u64,
        driver: &mut dyn Driver,
    ) -> Result<u64, RunError> {
        self.run(program, memory, count, driver, None)
    }

    /// As [`Team::run_steps`], adding the time of each call to `timing`. Costs two looks at the clock per call.
    ///
    /// # Errors
    /// As [`Team::run_steps`].
    pub fn run_steps_timed(
        &self,
        program: &Executable,
        memory: Memory<'_>,
        count: u64,
        driver: &mut dyn Driver,
        timing: &mut Timing,
    ) -> Result<u64, RunError> {
        self.run(program, memory, count, driver, Some(timing))
    }

    /// Runs one step for a batch of so many samples, after `feed` has filled the inputs.
    ///
    /// # Errors
    /// As [`Team::run_steps`].
    pub fn execute(
        &self,
        program: &Executable,
        memory: Memory<'_>,
        batch: u64,
        feed: impl FnOnce(&mut StepMemory<'_>) + Send + Sync,
    ) -> Result<(), RunError> {
        let mut feed = Some(feed);
        let mut driver = |_: u64, memory: &mut StepMemory<'_>| {
            if let Some(feed) = feed.take() {
                feed(memory);
            }
            ControlFlow::Continue(batch)
        };
        self.run(program, memory, 1, &mut driver, None).map(|_| ())
    }

    fn run<'a>(
        &self,
        program: &'a Executable,
        memory: Memory<'a>,
        count: u64,
        driver: &'a mut (dyn Driver + 'a),
        timing: Option<&mut Timing>,
    ) -> Result<u64, RunError> {
        require(
            "parameter buffer",
            memory.persistent,
            program.persistent_bytes,
        )?;
        require("arena", memory.arena, program.arena_bytes)?;
        memory
            .scratch
            .reserve(self.workers, program.scratch_bytes)?;
        let _region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = match self.adapts {
            true => program.pace(),
            false => Pace::together(),
        };
        let region = Region::new(program, memory, driver, (self.workers, pace), count);
        let finished = self.run_region(&region, timing.as_ref().map(|timing| timing.repeats));
        if let Some(timing) = timing {
            finished
                .iter()
                .filter_map(|worker| worker.sums.as_ref())
                .for_each(|sums| timing.add(sums));
        }
        let (done, error, pace) = region.finish();
        if self.adapts {
            program.keep_pace(pace);
        }
        error.map_or(Ok(done), Err)
    }

    /// All workers' states after the region. A panic of one of them is passed on when all have stopped.
    fn run_region(&self, region: &Region<'_>, timed: Option<u32>) -> Vec<Worker> {
        let Some(pool) = &self.pool else {
            return vec![work(region, 0, timed)];
        };
        let panic: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);
        let workers = pool.broadcast(|context| {
            let attempt = catch_unwind(AssertUnwindSafe(|| work(region, context.index(), timed)));
            attempt.map_err(|payload| {
                panic
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(payload);
                region.break_barrier();
            })
        });
        if let Some(payload) = panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
        workers.into_iter().filter_map(Result::ok).collect()
    }
}

fn work(region: &Region<'_>, index: usize, timed: Option<u32>) -> Worker {
    let mut worker = region.worker(index, timed);
    // A broken barrier means that another worker's panic is on its way to the caller.
    let _ = region.work(&mut worker);
    worker
}

fn threads(workers: usize) -> Result<rayon::ThreadPool, RunError> {
    let builder = rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(|index| format!("worker {index}"));
    builder.build().map_err(|error| RunError::Threads {
        workers,
        reason: error.to_string(),
    })
}

fn require(buffer: &'static str, memory: &Buffer, needed: u64) -> Result<(), RunError> {
    let available = memory.len() as u64;
    if available >= needed {
        return Ok(());
    }
    Err(RunError::TooSmall {
        buffer,
        available,
        needed,
    })
}
