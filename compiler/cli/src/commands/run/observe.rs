//! What a person sees of a run: a bar on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use dlm_runtime::session::{Evaluation, Observer, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Plain lines come at most this often.
const LINES_EVERY: Duration = Duration::from_secs(5);
/// The bar is told of progress at most this often.
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// Shows progress and evaluations.
pub struct Display {
    quiet: bool,
    verbose: bool,
    begin: Instant,
    first_step: Option<Duration>,
    bar: Option<ProgressBar>,
    shown: Instant,
    samples: u64,
    total: u64,
}

impl Display {
    /// For a run of so many steps.
    pub fn new(quiet: bool, verbose: bool, total: u64) -> Display {
        let on_terminal = std::io::stderr().is_terminal() && !quiet;
        let now = Instant::now();
        Display {
            quiet,
            verbose,
            begin: now,
            first_step: None,
            bar: on_terminal.then(|| bar(total)),
            shown: now,
            samples: 0,
            total,
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How long the process took until the first step was done.
    pub fn show_start(&self) {
        if let Some(time) = self.first_step.filter(|_| self.verbose) {
            let text = format!(
                "{:>9.1} ms  from process start to the first finished step\n",
                time.as_secs_f64() * 1e3
            );
            crate::terminal::complain(&text);
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => crate::terminal::say(text),
        }
    }
}

impl Observer for Display {
    fn stepped(&mut self, progress: Progress<'_>) {
        self.samples += progress.samples;
        if self.first_step.is_none() {
            self.first_step = Some(crate::stages::since_start());
        }
        let every = if self.bar.is_some() {
            DRAW_EVERY
        } else {
            LINES_EVERY
        };
        if self.quiet || self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let rate = self.samples as f64 / self.begin.elapsed().as_secs_f64().max(1e-9);
        let reports = values(progress.reports);
        let done = progress.clock.iter;
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(format!("{reports}  {rate:.0} samples/s"));
            }
            None => {
                let left = self.total.saturating_sub(done) as f64 / done.max(1) as f64;
                let left = left * self.begin.elapsed().as_secs_f64();
                crate::terminal::say(&format!(
                    "step {done}/{}  {reports}  {rate:.0} samples/s  {left:.0} s left",
                    self.total
                ));
            }
        }
    }

    fn evaluated(&mut self, evaluation: &Evaluation) {
        if !self.quiet {
            let scalars: Vec<(String, f64)> = evaluation
                .values
                .iter()
                .filter(|value| !value.0.contains('['))
                .cloned()
                .collect();
            let (epoch, split) = (evaluation.epoch + 1, &evaluation.split);
            self.line(&format!("epoch {epoch}  {split}  {}", values(&scalars)));
        }
    }
}

fn values(values: &[(String, f64)]) -> String {
    // What no step has reported so far has no value.
    let known = values.iter().filter(|(_, value)| !value.is_nan());
    let each = known.map(|(name, value)| format!("{name} {value:.4}"));
    each.collect::<Vec<_>>().join("  ")
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
