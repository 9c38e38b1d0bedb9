//! Kernels to text.

use std::fmt::{self, Display, Formatter};

use super::super::{
    Address, Block, Float, Instruction, Kernel, LoadKind, LoopStatement, Statement, Value,
};

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel {} {{", quoted(&self.name))?;
        for note in &self.notes {
            writeln!(f, "  note {}", quoted(note))?;
        }
        for span in &self.spans {
            writeln!(f, "  span {}:{}..{}", span.file.0, span.start, span.end)?;
        }
        for (buffer, decl) in &self.buffers {
            let (name, element) = (quoted(&decl.name), decl.element.name());
            writeln!(
                f,
                "  buffer {buffer} {name}: {element} {}",
                decl.access.name()
            )?;
        }
        for (value, name) in &self.scalars {
            writeln!(f, "  scalar {value} {}", quoted(name))?;
        }
        Printer { kernel: self }.block(f, &self.body, 1)?;
        writeln!(f, "}}")
    }
}

/// The first line of a statement, for messages.
pub(crate) fn statement_line(kernel: &Kernel, statement: &Statement) -> String {
    let printer = Printer { kernel };
    match statement {
        Statement::Define(value, instruction) => {
            format!("{} = {}", printer.typed(*value), Text(instruction))
        }
        Statement::Store {
            address,
            value,
            stride: 1,
        } => format!("store {address}, {value}"),
        Statement::Store {
            address,
            value,
            stride,
        } => format!("store {address}, {value}, stride {stride}"),
        Statement::Prefetch(address) => format!("prefetch {address}"),
        Statement::Loop(statement) => printer.loop_line(statement),
        Statement::If(conditional) => format!("if {} {{", conditional.condition),
    }
}

struct Printer<'a> {
    kernel: &'a Kernel,
}

impl Printer<'_> {
    fn block(&self, f: &mut Formatter<'_>, block: &Block, depth: usize) -> fmt::Result {
        for statement in &block.statements {
            let line = statement_line(self.kernel, statement);
            writeln!(f, "{:width$}{line}", "", width = depth * 2)?;
            match statement {
                Statement::Define(..) | Statement::Store { .. } | Statement::Prefetch(_) => {
                    continue;
                }
                Statement::Loop(statement) => self.loop_rest(f, statement, depth)?,
                Statement::If(conditional) => {
                    self.block(f, &conditional.body, depth + 1)?;
                    let results = conditional.results.iter().map(|(result, then, otherwise)| {
                        format!("{} = {then} else {otherwise}", self.typed(*result))
                    });
                    self.close(f, results.collect(), depth)?;
                }
            }
        }
        Ok(())
    }

    fn loop_line(&self, statement: &LoopStatement) -> String {
        let LoopStatement {
            variable,
            begin,
            end,
            step,
            ..
        } = statement;
        let (name, kind) = (quoted(&statement.name), statement.kind.name());
        let mut line = format!("for {variable} {name} in {begin}..{end} step {step} {kind}");
        for (position, carried) in statement.carried.iter().enumerate() {
            line += if position == 0 { " carry " } else { ", " };
            line += &format!("{} = {}", self.typed(carried.argument), carried.initial);
        }
        line + " {"
    }

    fn loop_rest(
        &self,
        f: &mut Formatter<'_>,
        statement: &LoopStatement,
        depth: usize,
    ) -> fmt::Result {
        self.block(f, &statement.body, depth + 1)?;
        let list =
            |values: Vec<Value>| -> Vec<String> { values.iter().map(Value::to_string).collect() };
        if !statement.carried.is_empty() {
            let nexts = list(statement.carried.iter().map(|c| c.next).collect());
            writeln!(
                f,
                "{:width$}next {}",
                "",
                nexts.join(", "),
                width = depth * 2 + 2
            )?;
        }
        let results = list(statement.carried.iter().map(|c| c.result).collect());
        self.close(f, results, depth)
    }

    fn close(&self, f: &mut Formatter<'_>, results: Vec<String>, depth: usize) -> fmt::Result {
        write!(f, "{:width$}}}", "", width = depth * 2)?;
        if !results.is_empty() {
            write!(f, " give {}", results.join(", "))?;
        }
        writeln!(f)
    }

    fn typed(&self, value: Value) -> String {
        match self.kernel.values.get(value) {
            Some(ty) => format!("{value}: {ty}"),
            None => format!("{value}: ?"),
        }
    }
}

/// An instruction without its result.
struct Text<'a>(&'a Instruction);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Instruction::IndexConst(value) => write!(f, "const {value}"),
            Instruction::FloatConst(value) => write!(f, "const {value}"),
            Instruction::IntConst(value) => write!(f, "const {value}"),
            Instruction::MaskConst(value) => write!(f, "const {value}"),
            Instruction::Int(op, a, b) => write!(f, "{} {a}, {b}", op.name()),
            Instruction::Load { address, kind } => match kind {
                LoadKind::Contiguous => write!(f, "load {address}"),
                LoadKind::Splat => write!(f, "load_splat {address}"),
                LoadKind::SplatPair => write!(f, "load_splat_pair {address}"),
                LoadKind::Strided(stride) => write!(f, "load_strided {address}, {stride}"),
            },
            Instruction::Unary(op, a) => write!(f, "{} {a}", op.name()),
            Instruction::Binary(op, a, b) => write!(f, "{} {a}, {b}", op.name()),
            Instruction::Fma(a, b, c) => write!(f, "fma {a}, {b}, {c}"),
            Instruction::DotPairs(a, b, c) => write!(f, "dot_pairs {a}, {b}, {c}"),
            Instruction::Compare(comparison, a, b) => write!(f, "{} {a}, {b}", comparison.name()),
            Instruction::Select(mask, a, b) => write!(f, "select {mask}, {a}, {b}"),
            Instruction::ShiftLeft(a, count) => write!(f, "shift_left {a}, {count}"),
            Instruction::ShiftRight(a, count) => write!(f, "shift_right {a}, {count}"),
            Instruction::Splat(a) => write!(f, "splat {a}"),
            Instruction::IndexToInt(a) => write!(f, "index_to_int {a}"),
            Instruction::LaneIota => f.write_str("lane_iota"),
            Instruction::ReduceAdd(a) => write!(f, "reduce_add {a}"),
            Instruction::Extract(a, lane) => write!(f, "extract {a}, {lane}"),
            Instruction::Join(a, b) => write!(f, "join {a}, {b}"),
            Instruction::Half(a, half) => write!(f, "half {a}, {half}"),
            Instruction::IntToIndex(a) => write!(f, "int_to_index {a}"),
            Instruction::Math(op, operands) => {
                let operands: Vec<String> = operands.iter().map(Value::to_string).collect();
                write!(f, "{} {}", op.name(), operands.join(", "))
            }
        }
    }
}

impl Display for Float {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.is_finite() {
            true => write!(f, "{:?}", self.0),
            false => write!(f, "bits {:#010x}", self.0.to_bits()),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.buffer)?;
        for (position, (value, factor)) in self.terms.iter().enumerate() {
            let separator = if position == 0 { "" } else { " + " };
            match factor {
                1 => write!(f, "{separator}{value}")?,
                _ => write!(f, "{separator}{value} * {factor}")?,
            }
        }
        match (self.terms.is_empty(), self.offset) {
            (true, offset) => write!(f, "{offset}]"),
            (false, 0) => f.write_str("]"),
            (false, offset) => write!(f, " + {offset}]"),
        }
    }
}

/// With quotation marks and escapes, so that any name reads back.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_default())
}
