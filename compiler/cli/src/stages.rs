//! What is being done, and how long it took.

use std::time::{Duration, Instant};

use crate::terminal;

static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

/// Notes that the process has begun.
pub fn start() {
    START.get_or_init(Instant::now);
}

/// The time since the process began.
pub fn since_start() -> Duration {
    START.get().map_or(Duration::ZERO, Instant::elapsed)
}

/// The stages of one command, timed.
pub struct Stages {
    begin: Instant,
    done: Vec<(&'static str, Duration)>,
    notes: Vec<String>,
    shown: bool,
}

impl Stages {
    /// No stage yet; they are printed at the end where `shown`.
    pub fn new(shown: bool) -> Stages {
        Stages {
            begin: Instant::now(),
            done: Vec::new(),
            notes: Vec::new(),
            shown,
        }
    }

    /// Does a stage. Stages of one name are added up.
    pub fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        crate::crash::enter_stage(name);
        let begin = Instant::now();
        let result = work();
        self.add(name, begin.elapsed());
        result
    }

    /// Notes the time of a stage that was measured elsewhere.
    pub fn add(&mut self, name: &'static str, time: Duration) {
        match self.done.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += time,
            None => self.done.push((name, time)),
        }
    }

    /// Notes what a stage has decided, to be shown with the times.
    pub fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// The time since the command began.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Prints the table to standard error, if it is wanted.
    pub fn show(&self) {
        if self.shown {
            terminal::complain(&self.table());
        }
    }

    fn table(&self) -> String {
        let row = |name: &str, time: Duration| {
            format!("  {name:<24} {:>9.2} ms\n", time.as_secs_f64() * 1e3)
        };
        let rows: String = self
            .done
            .iter()
            .map(|(name, time)| row(name, *time))
            .collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("  {note}\n"))
            .collect();
        format!(
            "stages:\n{rows}{}{notes}",
            row("since the start", self.elapsed())
        )
    }
}
