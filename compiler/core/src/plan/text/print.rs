//! Plans to text.

use std::fmt::{self, Display, Formatter};

use crate::loops::Kernel;
use crate::plan::names::Named;
use crate::plan::{
    BufferId, Call, KernelId, Layout, Plan, PlanBuffer, Port, ScalarArgument, Space, TaskGroup,
    Tasks, taken,
};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan {} {{", quoted(&self.name))?;
        let exactly = if self.exact { " exactly" } else { "" };
        writeln!(f, "  batch {}{exactly}", self.batch)?;
        for (space, bytes) in [
            (Space::Persistent, self.persistent_bytes),
            (Space::Arena, self.arena_bytes),
            (Space::Scratch, self.scratch_bytes),
        ] {
            writeln!(f, "  space {} {bytes} bytes", space.name())?;
        }
        section(
            f,
            self.buffers
                .iter()
                .map(|(id, buffer)| format!("buffer {id} {buffer}")),
        )?;
        let inputs = self
            .inputs
            .iter()
            .map(|port| port_line("input", port.kind.name(), port));
        let outputs = self
            .outputs
            .iter()
            .map(|port| port_line("output", port.kind.name(), port));
        section(f, inputs.chain(outputs))?;
        section(
            f,
            self.kernels
                .iter()
                .map(|(id, kernel)| signature(id, kernel)),
        )?;
        self.phases(f)?;
        let commits = self
            .commits
            .iter()
            .map(|commit| format!("commit {} -> {}", commit.from, commit.to));
        section(f, commits)?;
        section(
            f,
            self.decisions
                .iter()
                .map(|line| format!("decision {}", quoted(line))),
        )?;
        writeln!(f, "}}")
    }
}

/// Lines with an empty one before the first.
fn section(f: &mut Formatter<'_>, lines: impl Iterator<Item = String>) -> fmt::Result {
    for (number, line) in lines.enumerate() {
        writeln!(f, "{}  {line}", if number == 0 { "\n" } else { "" })?;
    }
    Ok(())
}

fn port_line<K>(direction: &str, kind: &str, port: &Port<K>) -> String {
    format!("{direction} {kind} {} {}", quoted(&port.name), port.buffer)
}

fn signature(id: KernelId, kernel: &Kernel) -> String {
    let buffers = kernel.buffers.iter().map(|(buffer, decl)| {
        let (element, access) = (decl.element.name(), decl.access.name());
        format!("{buffer} {}: {element} {access}", quoted(&decl.name))
    });
    let scalars = kernel.scalars.iter().map(|(_, name)| quoted(name));
    let list = arguments(buffers.collect(), scalars.collect());
    format!("kernel {id} {}{list}", quoted(&kernel.name))
}

/// `(a, b; c)`, the part from the semicolon on only where there are scalars.
fn arguments(buffers: Vec<String>, scalars: Vec<String>) -> String {
    let separator = if scalars.is_empty() { "" } else { "; " };
    format!("({}{separator}{})", buffers.join(", "), scalars.join(", "))
}

impl Plan {
    fn phases(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, phase) in self.phases.iter().enumerate() {
            let (above, serial) = (
                if number == 0 { "\n" } else { "" },
                if phase.serial { " serial" } else { "" },
            );
            writeln!(f, "{above}  phase {number}{serial} {{")?;
            for group in &phase.groups {
                self.group(f, group)?;
            }
            writeln!(f, "  }}")?;
        }
        Ok(())
    }

    fn group(&self, f: &mut Formatter<'_>, group: &TaskGroup) -> fmt::Result {
        writeln!(f, "    {} {} {{", group.tasks, quoted(&group.name))?;
        if !group.zeroed.is_empty() {
            let zeroed: Vec<String> = group.zeroed.iter().map(BufferId::to_string).collect();
            writeln!(f, "      zero {}", zeroed.join(", "))?;
        }
        let mut repeats = group.repeats.iter().peekable();
        for (number, call) in group.calls.iter().enumerate() {
            if let Some(repeat) = repeats.peek().filter(|repeat| repeat.first == number) {
                let order = if repeat.reverse { " backward" } else { "" };
                writeln!(f, "      repeat {}{order} {{", repeat.rounds)?;
            }
            let inside = repeats.peek().is_some_and(|repeat| repeat.first <= number);
            let indent = if inside { "  " } else { "" };
            let buffers = call.buffers.iter().map(BufferId::to_string).collect();
            let scalars = call.scalars.iter().map(ScalarArgument::to_string).collect();
            let (list, comment) = (arguments(buffers, scalars), self.comment(call));
            writeln!(f, "      {indent}call {}{list}{comment}", call.kernel)?;
            if repeats
                .next_if(|repeat| repeat.end() == number + 1)
                .is_some()
            {
                writeln!(f, "      }}")?;
            }
        }
        writeln!(f, "    }}")
    }

    /// `  # product7(x, w): tile 4x3`.
    fn comment(&self, call: &Call) -> String {
        let Some(kernel) = self.kernels.get(call.kernel) else {
            return String::new();
        };
        let name = |id: &BufferId| {
            self.buffers
                .get(*id)
                .map_or("?", |buffer| &buffer.name)
                .to_string()
        };
        let names: Vec<String> = call.buffers.iter().map(name).collect();
        let start = format!("{}: ", kernel.name);
        // A value of the kernel's name may have a decision about its layout, which stands before.
        let reason = self
            .decisions
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix(&start));
        let reason = reason.map_or(String::new(), |reason| format!(": {}", taken(reason)));
        let comment = format!("  # {}({}){reason}", kernel.name, names.join(", "));
        comment.replace(['\n', '\r'], " ")
    }
}

impl Display for PlanBuffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        let (element, shape) = (self.element.name(), shape.join(", "));
        write!(
            f,
            "{}: {element}[{shape}] {} in {}",
            quoted(&self.name),
            self.layout,
            self.space.name()
        )?;
        write!(f, " at {}, {} bytes", self.offset, self.bytes)?;
        for (what, stride) in [("block", self.block_stride), ("task", self.task_stride)] {
            if stride != 0 {
                write!(f, ", {what} {stride}")?;
            }
        }
        if let Some(stack) = self.row_of {
            write!(f, ", row of {stack}")?;
        }
        f.write_str(if self.cleared { ", cleared" } else { "" })
    }
}

impl Display for Layout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Layout::Plain => f.write_str("plain"),
            Layout::Lanes { axis, lanes } => write!(f, "lanes({axis})x{lanes}"),
            Layout::Panels { width } => write!(f, "panels({width})"),
            Layout::Partials => f.write_str("partials"),
        }
    }
}

impl Display for Tasks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Tasks::Blocks { lanes, most } => write!(f, "blocks of {lanes}, at most {most} tasks"),
            Tasks::Ranges { extent, chunk } => write!(f, "ranges of {extent} by {chunk}"),
            Tasks::BatchRanges { chunk } => write!(f, "batch ranges by {chunk}"),
            Tasks::Once => f.write_str("once"),
        }
    }
}

impl Display for ScalarArgument {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ScalarArgument::Batch => f.write_str("batch"),
            ScalarArgument::BlockTasks { lanes, most } => write!(f, "tasks of {lanes} most {most}"),
            ScalarArgument::Block => f.write_str("block"),
            ScalarArgument::Follows => f.write_str("follows"),
            ScalarArgument::ValidLanes => f.write_str("valid"),
            ScalarArgument::RangeBegin => f.write_str("begin"),
            ScalarArgument::RangeEnd => f.write_str("end"),
            ScalarArgument::Round => f.write_str("round"),
        }
    }
}

/// With quotation marks and escapes, so that any name reads back.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_default())
}
