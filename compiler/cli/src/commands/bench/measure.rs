//! Running steps against the clock.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use dlm_core::elaborate::program::FeedInput;
use dlm_core::graph::TensorType;
use dlm_runtime::call::store;
use dlm_runtime::memory::{Buffer, Memory, Scratch, arena_of};
use dlm_runtime::program::{Executable, Slot, Space};
use dlm_runtime::random::Stream;
use dlm_runtime::team::{StepMemory, Team, Timing};
use dlm_runtime::tensor::{DataType, Tensor};

use crate::failure::Failure;
use crate::peak;
use crate::pipeline::frontend::Part;
use crate::report::spread::Spread;

/// Measurements of which the median is taken.
const REPETITIONS: usize = 7;
/// Measurements of the peak, of which the best counts: each lasts some milliseconds, in which other work may disturb it.
const PEAK_REPETITIONS: usize = 20;
/// How long one measurement lasts.
const MEASUREMENT: Duration = Duration::from_millis(150);
/// Steps before the first measurement.
const WARM_UP: u64 = 3;
/// How many times so many steps are done at most, until it is known who does them.
const TRIALS: usize = 60;

/// A step's times.
pub struct Measured {
    /// Milliseconds of a step, of all measurements.
    pub milliseconds: Spread,
    /// How many measurements there were.
    pub repetitions: usize,
    /// Steps of each measurement.
    pub steps: u64,
    /// Where the time goes, by call site; one for each measurement of calls, of which there is one at least.
    pub timings: Vec<Timing>,
    /// The steps that each of `timings` is the sum of.
    pub timed_steps: u64,
}

/// A program with its memory, ready to run.
pub struct Bench<'a> {
    team: &'a Team,
    program: &'a Executable,
    persistent: Buffer,
    arena: Buffer,
    scratch: Scratch,
    batch: u64,
}

impl<'a> Bench<'a> {
    /// Initial parameters, and a batch of random data in place.
    ///
    /// # Errors
    /// Where memory is short.
    pub fn new(
        team: &'a Team,
        program: &'a Executable,
        init: &Executable,
        part: &Part<'_>,
        seed: i64,
    ) -> Result<Bench<'a>, Failure> {
        let bytes = program.persistent_bytes.max(init.persistent_bytes);
        let mut bench = Bench {
            team,
            program,
            persistent: Buffer::zeroed(bytes).map_err(Failure::run)?,
            arena: arena_of(program).map_err(Failure::run)?,
            scratch: Scratch::default(),
            batch: part.batch as u64,
        };
        bench.initialise(init, seed)?;
        let inputs = part.feeds.iter().flat_map(|feed| &feed.inputs);
        for (number, input) in inputs.enumerate() {
            bench.feed(input, number as u32)?;
        }
        Ok(bench)
    }

    fn initialise(&mut self, init: &Executable, seed: i64) -> Result<(), Failure> {
        let mut arena = arena_of(init).map_err(Failure::run)?;
        let memory = Memory {
            persistent: &mut self.persistent,
            arena: &mut arena,
            scratch: &mut self.scratch,
        };
        let set = |memory: &mut StepMemory<'_>| {
            for slot in &init.scalars {
                set_scalar(
                    memory,
                    slot,
                    if slot.name == "seed" {
                        seed as f64
                    } else {
                        0.0
                    },
                );
            }
        };
        self.team
            .execute(init, memory, 1, set)
            .map_err(Failure::run)
    }

    fn feed(&mut self, input: &FeedInput, number: u32) -> Result<(), Failure> {
        let slot = self
            .program
            .inputs
            .iter()
            .find(|slot| slot.name == input.name);
        // What the program ignores has no place.
        let Some(slot) = slot else {
            return Ok(());
        };
        let shape = slot.sizes(self.batch);
        let below = input.bound.map_or(2, |bound| bound.below.fixed.max(1)) as u64;
        let tensor = random_tensor(&input.ty, slot.dtype, shape, below, number)?;
        store(slot, self.batch, &tensor, &mut self.arena).map_err(Failure::internal)
    }

    /// Measures steps: as many as wanted, or as many as last long enough. Then, so many times, the calls of as many more; or of
    /// one in `repeats` of these, each call repeated so often.
    ///
    /// # Errors
    /// Where the program cannot run.
    pub fn measure(
        &mut self,
        steps: Option<u64>,
        repeats: u32,
        timings: usize,
    ) -> Result<Measured, Failure> {
        self.warm_up()?;
        let estimate = self.steps(WARM_UP, None)?.as_secs_f64() / WARM_UP as f64;
        let enough = (MEASUREMENT.as_secs_f64() / estimate.max(1e-9)).ceil() as u64;
        let count = steps.unwrap_or(enough.max(1));
        let mut milliseconds = Vec::with_capacity(REPETITIONS);
        for _ in 0..REPETITIONS {
            let time = self.steps(count, None)?;
            milliseconds.push(time.as_secs_f64() * 1e3 / count as f64);
        }
        let timed_steps = (count / u64::from(repeats.max(1))).max(1);
        let timed = |_| self.timed(timed_steps, repeats);
        Ok(Measured {
            milliseconds: Spread::of(milliseconds),
            repetitions: REPETITIONS,
            steps: count,
            timings: (0..timings.max(1)).map(timed).collect::<Result<_, _>>()?,
            timed_steps,
        })
    }

    /// The calls of so many steps.
    fn timed(&mut self, steps: u64, repeats: u32) -> Result<Timing, Failure> {
        let mut timing = Timing::new(self.program);
        timing.repeats = repeats;
        self.steps(steps, Some(&mut timing))?;
        Ok(timing)
    }

    /// Steps that are not measured, until it is known who does them.
    ///
    /// # Errors
    /// Where the program cannot run.
    pub fn warm_up(&mut self) -> Result<(), Failure> {
        for _ in 0..TRIALS {
            self.steps(WARM_UP, None)?;
            if self.team.way(self.program).is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Milliseconds of a step, as the mean of so many.
    ///
    /// # Errors
    /// Where the program cannot run.
    pub fn milliseconds(&mut self, count: u64) -> Result<f64, Failure> {
        Ok(self.steps(count, None)?.as_secs_f64() * 1e3 / count.max(1) as f64)
    }

    /// The time of so many steps in one region.
    fn steps(&mut self, count: u64, timing: Option<&mut Timing>) -> Result<Duration, Failure> {
        let batch = self.batch;
        let mut driver = |step: u64, memory: &mut StepMemory<'_>| {
            let program = memory.program().scalars.len();
            for number in 0..program {
                set_progress(memory, number, step);
            }
            ControlFlow::Continue(batch)
        };
        let memory = Memory {
            persistent: &mut self.persistent,
            arena: &mut self.arena,
            scratch: &mut self.scratch,
        };
        let begin = Instant::now();
        let done = match timing {
            Some(timing) => {
                self.team
                    .run_steps_timed(self.program, memory, count, &mut driver, timing)
            }
            None => self
                .team
                .run_steps(self.program, memory, count, &mut driver),
        };
        let time = begin.elapsed();
        done.map_err(Failure::run)?;
        Ok(time)
    }
}

/// What the run passes to each step: its number where a scalar is one, and a run of one long epoch.
fn set_progress(memory: &mut StepMemory<'_>, number: usize, step: u64) {
    let slot = &memory.program().scalars[number];
    let (dtype, offset) = (slot.dtype, slot.offset_bytes);
    let value = match slot.name.as_str() {
        "iter" | "counter" => step as f64,
        "steps" => 1e6,
        "epochs" => 1.0,
        _ => 0.0,
    };
    write_scalar(memory, dtype, offset, value);
}

fn set_scalar(memory: &mut StepMemory<'_>, slot: &Slot, value: f64) {
    write_scalar(memory, slot.dtype, slot.offset_bytes, value);
}

fn write_scalar(memory: &mut StepMemory<'_>, dtype: DataType, offset: u64, value: f64) {
    match dtype {
        DataType::F32 => memory.view_mut::<f32>(Space::Arena, offset, 1)[0] = value as f32,
        DataType::I64 => memory.view_mut::<i64>(Space::Arena, offset, 1)[0] = value as i64,
        _ => memory.view_mut::<i32>(Space::Arena, offset, 1)[0] = value as i32,
    }
}

/// Floats in -1 to 1, integers below `below`, all other bytes 0 or 1.
fn random_tensor(
    ty: &TensorType,
    dtype: DataType,
    shape: Vec<u64>,
    below: u64,
    number: u32,
) -> Result<Tensor, Failure> {
    let mut stream = Stream::new(0, number, 0);
    let count: u64 = shape.iter().product();
    let tensor = match dtype {
        DataType::F32 => {
            let mut draw = || (stream.below(1 << 24) as f32) / (1 << 23) as f32 - 1.0;
            let values: Vec<f32> = (0..count).map(|_| draw()).collect();
            Tensor::from_f32(shape, &values)
        }
        DataType::I32 => {
            let values: Vec<i32> = (0..count).map(|_| stream.below(below) as i32).collect();
            Tensor::from_i32(shape, &values)
        }
        DataType::U8 | DataType::Bool => {
            let values: Vec<u8> = (0..count).map(|_| stream.below(2) as u8).collect();
            Tensor::new(dtype, shape, values)
        }
        other => {
            return Err(Failure::internal(format!(
                "no random data of type {other} for {ty}"
            )));
        }
    };
    tensor.map_err(Failure::internal)
}

/// The machine's peak in GFLOP/s with vectors of so many lanes: the best of several runs.
///
/// # Errors
/// Where the program cannot run.
pub fn peak(team: &Team, program: &Executable, lanes: usize) -> Result<f64, Failure> {
    let mut arena = arena_of(program).map_err(Failure::run)?;
    let mut persistent = Buffer::zeroed(program.persistent_bytes).map_err(Failure::run)?;
    let mut scratch = Scratch::default();
    let mut best = f64::INFINITY;
    for _ in 0..PEAK_REPETITIONS {
        let memory = Memory {
            persistent: &mut persistent,
            arena: &mut arena,
            scratch: &mut scratch,
        };
        let mut driver = |_: u64, _: &mut StepMemory<'_>| ControlFlow::Continue(1);
        let begin = Instant::now();
        team.run_steps(program, memory, peak::STEPS, &mut driver)
            .map_err(Failure::run)?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(peak::flops(lanes) * peak::STEPS as f64 / best / 1e9)
}
