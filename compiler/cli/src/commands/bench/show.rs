//! What was measured, as a table and as JSON.

use dlm_core::plan::Plan;
use dlm_runtime::team::CallTime;
use serde_json::{Value, json};

use super::measure::Measured;
use crate::report::table::Table;
use crate::report::work::flops_of_site;

/// Everything that a benchmark found.
pub struct BenchResult {
    /// The program's file.
    pub name: String,
    /// The run.
    pub train: String,
    /// Samples of a step.
    pub batch: usize,
    /// Workers.
    pub threads: usize,
    /// Nominal operations of a step.
    pub flops: f64,
    /// The machine's peak in GFLOP/s.
    pub peak: f64,
    /// The times.
    pub measured: Measured,
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
}

impl BenchResult {
    fn gflops(&self) -> f64 {
        self.flops / self.measured.median() / 1e6
    }

    /// The object that tools read.
    pub fn json(&self, plan: &Plan) -> Value {
        let row = |row: &Row<'_>| {
            json!({
                "phase": row.call.phase,
                "group": row.call.group,
                "kernel": row.call.kernel,
                "microseconds": row.microseconds,
                "share": row.share,
                "gflops": row.gflops,
            })
        };
        json!({
            "name": self.name,
            "train": self.train,
            "batch": self.batch,
            "threads": self.threads,
            "ms_min": self.measured.min(),
            "ms_median": self.measured.median(),
            "ms_max": self.measured.max(),
            "repetitions": self.measured.milliseconds.len(),
            "steps": self.measured.steps,
            "flops": self.flops,
            "gflops": self.gflops(),
            "peak_gflops": self.peak,
            "peak_share": self.gflops() / self.peak,
            "kernels": self.rows(plan).iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// The text that people read.
    pub fn table(&self, plan: &Plan) -> String {
        let measured = &self.measured;
        let mut text = format!(
            "{} {}: batch {}, {} threads, {} measurements of {} steps\n\
             \x20 step     {:.3} ms median, {:.3} min, {:.3} max\n\
             \x20 nominal  {:.1} GFLOP/s, {:.0} % of the peak of {:.1} (fused multiply-adds, all threads)\n\n",
            self.name,
            self.train,
            self.batch,
            self.threads,
            measured.milliseconds.len(),
            measured.steps,
            measured.median(),
            measured.min(),
            measured.max(),
            self.gflops(),
            100.0 * self.gflops() / self.peak,
            self.peak,
        );
        let mut table = Table::new(&[
            "phase",
            "<group",
            "<kernel",
            "us",
            "share",
            "GFLOP/s a thread",
        ]);
        for row in self.rows(plan) {
            table.row([
                row.call.phase.to_string(),
                row.call.group.clone(),
                row.call.kernel.clone(),
                format!("{:.1}", row.microseconds),
                format!("{:.1} %", 100.0 * row.share),
                row.gflops
                    .map_or_else(String::new, |gflops| format!("{gflops:.1}")),
            ]);
        }
        text += &table.render();
        text
    }

    /// The call sites, the longest first.
    fn rows(&self, plan: &Plan) -> Vec<Row<'_>> {
        let sites = plan.phases.iter().flat_map(|phase| &phase.groups);
        let sites = sites.flat_map(|group| (0..group.calls.len()).map(move |call| (group, call)));
        let work = sites.map(|(group, call)| flops_of_site(plan, group, call, self.batch));
        // Copies at the end of a step stand after the plan's own calls, and do no arithmetic.
        let work = work.chain(std::iter::repeat(None));
        let calls = &self.measured.timing.calls;
        let total: u64 = calls.iter().map(|call| call.nanoseconds).sum();
        let steps = self.measured.timed_steps as f64;
        let row = |(call, flops): (_, Option<f64>)| {
            let call: &CallTime = call;
            let nanoseconds = call.nanoseconds as f64 / steps;
            Row {
                call,
                microseconds: nanoseconds / 1e3,
                share: call.nanoseconds as f64 / total.max(1) as f64,
                gflops: flops
                    .filter(|_| nanoseconds > 0.0)
                    .map(|flops| flops / nanoseconds),
            }
        };
        let mut rows: Vec<Row<'_>> = calls.iter().zip(work).map(row).collect();
        rows.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
        rows
    }
}
