//! Faults of the compiler itself: a user sees what to report, never a panic's own text.
//!
//! A panic that some library catches must not print anything, so the hook only remembers; whoever catches what nobody
//! else caught prints it.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The exit code of a fault of the compiler (`EX_SOFTWARE` of sysexits.h).
const INTERNAL_ERROR: u8 = 70;

struct Record {
    stage: &'static str,
    panic: Option<String>,
}

static RECORD: Mutex<Record> = Mutex::new(Record {
    stage: "start",
    panic: None,
});

/// Replaces the standard panic message.
pub fn install() {
    std::panic::set_hook(Box::new(remember));
}

/// Says what is being done, for the report of a fault.
pub fn enter_stage(stage: &'static str) {
    with_record(|record| record.stage = stage);
}

/// Runs `work`; a panic in it is reported as a fault of the compiler.
pub fn guard(work: impl FnOnce() -> ExitCode) -> ExitCode {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let panic = with_record(|record| record.panic.take());
        report(&panic.unwrap_or_else(|| "no message".into()))
    })
}

/// Tells the user of a fault of the compiler and gives the exit code for it.
pub fn report(what: &str) -> ExitCode {
    let stage = with_record(|record| record.stage);
    let text = format!(
        "internal error while working on: {stage}\n  {what}\n\
         This is a fault of dlmc {}, not of your program. Please report it, with the program if you can.\n",
        env!("CARGO_PKG_VERSION")
    );
    crate::terminal::complain(&text);
    ExitCode::from(INTERNAL_ERROR)
}

fn remember(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a fault without a message");
    let place = panic
        .location()
        .map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
    let text = format!("{message}{place}");
    with_record(|record| record.panic = Some(text));
}

fn with_record<T>(action: impl FnOnce(&mut Record) -> T) -> T {
    // A poisoned lock only means that another thread failed while it noted its stage.
    action(&mut RECORD.lock().unwrap_or_else(PoisonError::into_inner))
}
