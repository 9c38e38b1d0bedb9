//! What was measured, as a table and as JSON.

use dlm_core::plan::cost::{Cost, Machine, Ports, Prediction, predict};
use dlm_core::plan::{ALIGNMENT, Plan};
use dlm_runtime::team::{CallTime, Timing};
use serde_json::{Value, json};

use super::measure::Measured;
use super::products::Done;
use super::roofline::{Point, Roofline, bytes_of_site, picture};
use crate::report::table::{Table, bytes};

/// Everything that a benchmark found.
pub struct BenchResult {
    /// The program's file.
    pub name: String,
    /// The run.
    pub train: String,
    /// Samples of a step.
    pub batch: usize,
    /// Nominal operations of a step.
    pub flops: f64,
    /// What the machine gives at best.
    pub roof: Roofline,
    /// The threads that did the steps.
    pub working: usize,
    /// The times.
    pub measured: Measured,
    /// The instruction set of the code.
    pub ports: Ports,
    /// What the model of the machine says.
    pub prediction: Prediction,
}

/// Cycles of a nanosecond, as the peak was measured with: two vector multiply-adds in each.
fn gigahertz(roof: &Roofline, ports: &Ports) -> f64 {
    let operations = 2.0 * 2.0 * ports.register_lanes as f64;
    roof.gflops / roof.threads as f64 / operations
}

/// What the model says of a step by so many threads of a machine whose peak and bandwidth are measured.
pub fn prediction(
    plan: &Plan,
    batch: usize,
    (roof, working): (&Roofline, usize),
    ports: Ports,
) -> Prediction {
    let bytes_of_cycle = roof.gigabytes / roof.threads as f64 / gigahertz(roof, &ports);
    let machine = Machine {
        ports,
        threads: working,
        memory_cycles: ALIGNMENT as f64 / bytes_of_cycle,
    };
    predict(plan, batch, &machine)
}

/// One line of the table of kernels.
struct Row<'a> {
    call: &'a CallTime,
    /// Microseconds of a step, summed over workers.
    microseconds: f64,
    /// Of the time of all kernels.
    share: f64,
    /// On one worker; none where its loops depend on data.
    gflops: Option<f64>,
    /// Of its buffers, each once.
    bytes: f64,
    /// Microseconds by the model of the machine.
    predicted: Option<f64>,
    /// What the model says.
    cost: Option<Cost>,
}

impl Row<'_> {
    /// Its place under the roof; none where there is no arithmetic.
    fn point(&self) -> Option<Point> {
        let gflops = self.gflops.filter(|gflops| *gflops > 0.0)?;
        Some(Point {
            intensity: gflops * 1e3 * self.microseconds / self.bytes.max(1.0),
            gflops,
            share: self.share,
        })
    }
}

/// What a table says of calls that are repeated.
pub fn repeated(repeats: u32) -> String {
    match repeats {
        0 => String::new(),
        _ => format!("  Each call is made {repeats} times more, and these are its time.\n\n"),
    }
}

impl BenchResult {
    fn gigahertz(&self) -> f64 {
        gigahertz(&self.roof, &self.ports)
    }

    /// Milliseconds of the step by the model.
    fn predicted(&self) -> f64 {
        self.prediction.cycles / self.gigahertz() / 1e6
    }

    fn gflops(&self) -> f64 {
        self.flops / self.measured.milliseconds.median / 1e6
    }

    /// The object that tools read.
    pub fn json(&self, plan: &Plan) -> Value {
        let row = |row: &Row<'_>| {
            json!({
                "phase": row.call.phase,
                "group": row.call.group,
                "kernel": row.call.kernel,
                "microseconds": row.microseconds,
                "predicted_microseconds": row.predicted,
                "predicted_arithmetic_microseconds": row.cost.map(|cost| cost.cycles / self.gigahertz() / 1e3),
                "lines_loaded": row.cost.map(|cost| cost.transfer.loaded),
                "lines_stored": row.cost.map(|cost| cost.transfer.stored),
                "lines_jumped": row.cost.map(|cost| cost.transfer.jumps),
                "share": row.share,
                "gflops": row.gflops,
                "flops": row.gflops.map(|gflops| gflops * 1e3 * row.microseconds),
                "bytes": row.bytes,
                "intensity": row.point().map(|point| point.intensity),
                "roof_gflops": row.point().map(|point| self.roof.at(point.intensity)),
            })
        };
        let rows = self.rows(plan);
        json!({
            "name": self.name,
            "train": self.train,
            "batch": self.batch,
            "threads": self.roof.threads,
            "working_threads": self.working,
            "ms_min": self.measured.milliseconds.min,
            "ms_median": self.measured.milliseconds.median,
            "ms_max": self.measured.milliseconds.max,
            "repetitions": self.measured.repetitions,
            "steps": self.measured.steps,
            "repeat": self.repeats(),
            "timed_steps": self.measured.timed_steps,
            "flops": self.flops,
            "gflops": self.gflops(),
            "peak_gflops": self.roof.gflops,
            "peak_share": self.gflops() / self.roof.gflops,
            "peak_gigabytes": self.roof.gigabytes,
            "memory": {
                "bytes": plan.memory().total(self.roof.threads),
                "persistent_bytes": plan.persistent_bytes,
                "arena_bytes": plan.arena_bytes,
                "partial_bytes": plan.memory().partials,
                "scratch_bytes": plan.scratch_bytes,
            },
            "predicted_ms": self.predicted(),
            "predicted_error": self.predicted() / self.measured.milliseconds.median - 1.0,
            "predicted_kernel_error": kernel_error(&rows),
            "kernels": rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    fn workers(&self) -> String {
        let threads = self.roof.threads;
        match self.working == threads {
            true => format!("{threads} threads"),
            false => format!("{} of {threads} threads, which is faster", self.working),
        }
    }

    /// The text that people read.
    pub fn table(&self, plan: &Plan) -> String {
        let measured = &self.measured;
        let rows = self.rows(plan);
        let mut text = format!(
            "{} {}: batch {}, {}, {} measurements of {} steps\n\
             \x20 step     {:.3} ms median, {:.3} min, {:.3} max\n\
             \x20 predicted step {:.3} ms, {:+.0} %; kernels are {:.0} % off, weighted by their time\n\
             \x20 nominal  {:.1} GFLOP/s, {:.0} % of the peak of {:.1} (fused multiply-adds, all threads)\n\
             \x20 memory   {:.1} GB/s are read in order by all threads\n\
             \x20 takes    {}\n\n",
            self.name,
            self.train,
            self.batch,
            self.workers(),
            measured.repetitions,
            measured.steps,
            measured.milliseconds.median,
            measured.milliseconds.min,
            measured.milliseconds.max,
            self.predicted(),
            100.0 * (self.predicted() / measured.milliseconds.median - 1.0),
            100.0 * kernel_error(&rows),
            self.gflops(),
            100.0 * self.gflops() / self.roof.gflops,
            self.roof.gflops,
            self.roof.gigabytes,
            self.takes(plan),
        );
        text += &repeated(self.repeats());
        let mut table = Table::new(&[
            "phase",
            "<group",
            "<kernel",
            "us",
            "predicted",
            "share",
            "GFLOP/s a thread",
            "FLOP/B",
            "of roof",
        ]);
        for row in rows {
            table.row([
                row.call.phase.to_string(),
                row.call.group.clone(),
                row.call.kernel.clone(),
                format!("{:.1}", row.microseconds),
                shown(row.predicted, ""),
                format!("{:.1} %", 100.0 * row.share),
                row.gflops
                    .map_or_else(String::new, |gflops| format!("{gflops:.1}")),
                shown(row.point().map(|point| point.intensity), ""),
                shown(
                    row.point()
                        .map(|point| 100.0 * point.gflops / self.roof.at(point.intensity)),
                    " %",
                ),
            ]);
        }
        text += &table.render();
        text
    }

    /// The memory of a step, in one line.
    fn takes(&self, plan: &Plan) -> String {
        let memory = plan.memory();
        let shown = |count: usize| bytes(count as u64);
        format!(
            "{}: {} parameters and states, {} shared by all threads ({} of it partial sums), {} a thread",
            shown(memory.total(self.roof.threads)),
            shown(memory.persistent),
            shown(memory.arena),
            shown(memory.partials),
            shown(memory.scratch),
        )
    }

    /// The kernels under the machine's roof, drawn.
    pub fn picture(&self, plan: &Plan) -> String {
        let rows = self.rows(plan);
        let point = |row: &Row<'_>| Some((row.call.kernel.clone(), row.point()?));
        let kernels: Vec<(String, Point)> = rows.iter().filter_map(point).collect();
        let (gflops, gigabytes) = (self.roof.gflops, self.roof.gigabytes);
        let threads = self.roof.threads;
        let title = format!(
            "{} {}: {threads} threads, {gflops:.0} GFLOP/s, {gigabytes:.0} GB/s",
            self.name, self.train
        );
        picture(&title, &self.roof, &kernels)
    }

    fn repeats(&self) -> u32 {
        self.measured
            .timings
            .first()
            .map_or(0, |timing| timing.repeats)
    }

    /// What each call site did in a step of each measurement.
    pub fn done(&self, plan: &Plan) -> Vec<Vec<Done>> {
        let done = |row: Row<'_>| Done {
            kernel: row.call.kernel.clone(),
            microseconds: row.microseconds,
            flops: row.gflops.unwrap_or(0.0) * 1e3 * row.microseconds,
        };
        let timings = self.measured.timings.iter();
        timings
            .map(|timing| self.rows_of(plan, timing).into_iter().map(done).collect())
            .collect()
    }

    /// The call sites of the first measurement, the longest first.
    fn rows(&self, plan: &Plan) -> Vec<Row<'_>> {
        let first = self.measured.timings.first();
        first.map_or_else(Vec::new, |timing| self.rows_of(plan, timing))
    }

    /// The call sites of a measurement, the longest first.
    fn rows_of<'t>(&'t self, plan: &Plan, timing: &'t Timing) -> Vec<Row<'t>> {
        let sites = plan.phases.iter().flat_map(|phase| &phase.groups);
        let sites = sites.flat_map(|group| (0..group.calls.len()).map(move |call| (group, call)));
        let bytes = sites.map(|(group, call)| bytes_of_site(plan, group, call, self.batch));
        let work = self.prediction.sites.iter().copied().zip(bytes);
        // Copies at the end of a step stand after the plan's own calls, and do no arithmetic.
        let work = work.chain(std::iter::repeat((None, 0.0)));
        let calls = &timing.calls;
        let total: u64 = calls.iter().map(|call| call.nanoseconds).sum();
        let steps = self.measured.timed_steps as f64;
        let row = |(call, (cost, bytes)): (_, (Option<Cost>, f64))| {
            let call: &CallTime = call;
            let nanoseconds = call.nanoseconds as f64 / steps;
            Row {
                call,
                microseconds: nanoseconds / 1e3,
                share: call.nanoseconds as f64 / total.max(1) as f64,
                gflops: cost
                    .filter(|_| nanoseconds > 0.0)
                    .map(|cost| cost.flops / nanoseconds),
                bytes,
                predicted: cost.map(|cost| cost.total / self.gigahertz() / 1e3),
                cost,
            }
        };
        let mut rows: Vec<Row<'_>> = calls.iter().zip(work).map(row).collect();
        rows.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
        rows
    }
}

/// How far predictions are off, as a share of the time of the kernels that have one.
fn kernel_error(rows: &[Row<'_>]) -> f64 {
    let known = rows
        .iter()
        .filter_map(|row| Some((row.microseconds, row.predicted?)));
    let (mut off, mut all) = (0.0, 0.0);
    for (microseconds, predicted) in known {
        off += (predicted - microseconds).abs();
        all += microseconds;
    }
    if all > 0.0 { off / all } else { 0.0 }
}

fn shown(number: Option<f64>, unit: &str) -> String {
    number.map_or_else(String::new, |number| match unit {
        "" => format!("{number:.1}"),
        _ => format!("{number:.0}{unit}"),
    })
}
