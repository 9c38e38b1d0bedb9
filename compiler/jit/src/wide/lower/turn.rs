//! Neighbouring vectors whose lanes lie apart in memory, as one tile that is turned in registers.
//!
//! ```text
//! store b[i + 0], a0 a1 a2 a3 …  lanes S apart        a0 b0 c0 d0 | a4 b4 c4 d4 | …
//! store b[i + 1], b0 b1 b2 b3 …                       a1 b1 c1 d1 | a5 b5 c5 d5 | …
//! store b[i + 2], c0 c1 c2 c3 …             becomes   a2 b2 c2 d2 | …
//! store b[i + 3], d0 d1 d2 d3 …                       a3 b3 c3 d3 | …
//! ```
//!
//! What had a store for each lane of each vector has one for each row of the tile: eight shuffles turn 4 x 4 words in every
//! quarter of the registers, and each quarter is stored by itself. Loads are the same the other way round. With masks, tiles
//! have three columns too, as windows of three taps.

use dlm_core::loops::{Columns, Statement, TILE, Value, columns, turned_from};

use super::super::machine::{First, Inst, Memory, Op, Operand, Reg, Width};
use super::super::ops::VectorOp;
use super::operands::mask;
use super::reduce::narrowed;
use super::{Lower, Lowered};

/// Bits of a mask register that are above the lanes of three columns.
const BUT_THREE: i64 = 13;

/// Where the rows of a tile are.
#[derive(Clone, Copy)]
struct Rows {
    memory: Memory,
    /// Bytes from one to the next.
    step: i32,
    /// The lanes of each, where they are not all.
    lanes: Option<Reg>,
}

impl Rows {
    fn at(&self, row: usize) -> Memory {
        let mut memory = self.memory;
        memory.displacement += row as i32 * self.step;
        memory
    }
}

impl Lower<'_> {
    /// The columns of a tile that the next statements load or store.
    pub(super) fn columns<'s>(&self, statements: &'s [Statement]) -> Option<Columns<'s>> {
        let register_lanes = if self.features.avx512 { 16 } else { 8 };
        let least = turned_from(register_lanes)?;
        columns(self.kernel, statements).filter(|columns| columns.values.len() >= least)
    }

    /// Loads or stores the columns of a tile.
    pub(super) fn turn(&mut self, columns: &Columns<'_>) -> Lowered<()> {
        let first = columns.values[0];
        let step = columns.stride.wrapping_mul(4);
        let lanes = i64::from(self.lanes(first));
        let reach = step.saturating_mul(lanes).saturating_add(4 * TILE as i64);
        let memory = self.memory(columns.address, reach)?;
        let (parts, width) = (self.part_count(first), self.width(first));
        let lanes_of_row = (columns.values.len() < TILE).then(|| self.three_lanes());
        for part in 0..parts {
            let mut rows = Rows {
                memory,
                step: step as i32,
                lanes: lanes_of_row,
            };
            rows.memory = rows.at(part * lanes as usize / parts);
            match columns.stores {
                true => self.store_turned(&columns.values, part, (rows, width)),
                false => self.load_turned(&columns.values, part, (rows, width)),
            }
        }
        if !columns.stores {
            columns
                .values
                .iter()
                .for_each(|&value| drop(self.target(value)));
        }
        Ok(())
    }

    fn store_turned(&mut self, values: &[Value], part: usize, (rows, width): (Rows, Width)) {
        let last = values.len() - 1;
        let columns: [Operand; TILE] =
            std::array::from_fn(|column| self.source(values[column.min(last)], part));
        let turned = self.turned(width, columns);
        for quarter in 0..width.bytes() as usize / 16 {
            for (row, &source) in turned.iter().enumerate() {
                let to = rows.at(quarter * TILE + row);
                self.store_quarter(source, quarter, (to, width), rows.lanes);
            }
        }
    }

    /// Stores a quarter of a register, some of its lanes.
    fn store_quarter(
        &mut self,
        source: Operand,
        quarter: usize,
        (to, width): (Memory, Width),
        lanes: Option<Reg>,
    ) {
        let number = Operand::Immediate(quarter as i64);
        if lanes.is_none() && quarter > 0 {
            return self.write(VectorOp::ExtractQuarter, width, to, &[source, number]);
        }
        // Extraction to memory faults for lanes that its mask leaves out; a move does not (Intel, "Software Developer's
        // Manual", volume 2, exceptions of type E6NF and E4).
        let own = self.quarter(source, width, quarter as u8);
        let op = Op::Vector(VectorOp::Store, Width::X);
        let mut inst = Inst::new(op, First::Reads, &[Operand::Memory(to), own]);
        inst.mask = lanes.map(|lanes| (lanes, false));
        self.push(inst);
    }

    fn load_turned(&mut self, values: &[Value], part: usize, (rows, width): (Rows, Width)) {
        let read: [Operand; TILE] = std::array::from_fn(|row| self.load_rows(rows, row, width));
        let turned = self.turned(width, read);
        for (&value, column) in values.iter().zip(turned) {
            let to = self.storage_registers(value)[part];
            self.copy(to, column);
        }
    }

    /// Every fourth row from `first` on, each a quarter of a register.
    fn load_rows(&mut self, rows: Rows, first: usize, width: Width) -> Operand {
        let mut whole = self.load_row(rows, first);
        for quarter in 1..width.bytes() as usize / 16 {
            let row = quarter * TILE + first;
            let next = match rows.lanes {
                Some(_) => self.load_row(rows, row),
                None => Operand::Memory(rows.at(row)),
            };
            let sources = [
                narrowed(whole, width),
                next,
                Operand::Immediate(quarter as i64),
            ];
            whole = self.fresh_with(VectorOp::InsertQuarter, width, &sources);
        }
        whole
    }

    fn load_row(&mut self, rows: Rows, row: usize) -> Operand {
        let to = self.temporary(Width::X);
        let op = Op::Vector(VectorOp::Move, Width::X);
        let mut inst = Inst::new(op, First::Writes, &[to, Operand::Memory(rows.at(row))]);
        inst.mask = rows.lanes.map(|lanes| (lanes, true));
        self.push(inst);
        to
    }

    /// In each quarter of the registers, rows for columns.
    fn turned(&mut self, width: Width, [a, b, c, d]: [Operand; TILE]) -> [Operand; TILE] {
        use VectorOp::{UnpackHigh, UnpackHighPairs, UnpackLow, UnpackLowPairs};
        let mut shuffle = |op, x, y| self.fresh_with(op, width, &[x, y]);
        let (low, high) = (shuffle(UnpackLow, a, b), shuffle(UnpackHigh, a, b));
        let (next_low, next_high) = (shuffle(UnpackLow, c, d), shuffle(UnpackHigh, c, d));
        [
            shuffle(UnpackLowPairs, low, next_low),
            shuffle(UnpackHighPairs, low, next_low),
            shuffle(UnpackLowPairs, high, next_high),
            shuffle(UnpackHighPairs, high, next_high),
        ]
    }

    /// A mask of the first three lanes.
    fn three_lanes(&mut self) -> Reg {
        let (all, three) = (self.program.mask(), self.program.mask());
        let ones = Inst::new(Op::Ones, First::Writes, &[mask(all)]);
        self.push(ones);
        let sources = [mask(all), Operand::Immediate(BUT_THREE)];
        self.vector(VectorOp::MaskShiftRight, Width::X, mask(three), &sources);
        three
    }
}
