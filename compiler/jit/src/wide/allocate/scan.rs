//! One scan over the intervals, in the order of their starts.

use cranelift_entity::SecondaryMap;

use super::super::encode::registers::{self, RAX, RDI, RDX};
use super::super::features::Features;
use super::super::machine::{Class, Program, Reg};
use super::intervals::{Interval, Intervals};

/// What a scan found.
pub(super) struct Scanned {
    pub(super) registers: SecondaryMap<Reg, u8>,
    pub(super) spilled: Vec<Reg>,
}

/// Gives registers to intervals; where there are too few, those that cost least stay without.
pub(super) fn scan(program: &Program, intervals: &Intervals, features: Features) -> Scanned {
    let mut order: Vec<Reg> = program.regs.keys().collect();
    order.retain(|&reg| intervals.of[reg].start != u32::MAX);
    order.sort_by_key(|&reg| intervals.of[reg].start);
    let mut scan = Scan {
        program,
        intervals,
        files: [Class::General, Class::Vector, Class::Mask].map(|class| File::new(class, features)),
        scanned: Scanned {
            registers: SecondaryMap::with_capacity(program.regs.len()),
            spilled: Vec::new(),
        },
    };
    for reg in order {
        scan.place(reg);
    }
    scan.scanned
}

/// The registers of one class.
struct File {
    /// Numbers, the ones to take first in front.
    preference: &'static [u8],
    /// Who holds each number.
    holders: [Option<Reg>; 32],
}

impl File {
    fn new(class: Class, features: Features) -> File {
        File {
            preference: registers::preference(class, features),
            holders: [None; 32],
        }
    }
}

struct Scan<'a> {
    program: &'a Program,
    intervals: &'a Intervals,
    files: [File; 3],
    scanned: Scanned,
}

impl Scan<'_> {
    fn place(&mut self, reg: Reg) {
        let class = self.program.regs[reg].class as usize;
        let interval = self.intervals.of[reg];
        self.expire(class, interval.start);
        if let Some(number) = self.free(class, reg, &interval) {
            return self.give(class, reg, number);
        }
        match self.cheapest(class, &interval) {
            Some((number, holder)) => {
                self.scanned.spilled.push(holder);
                self.give(class, reg, number);
            }
            None => self.scanned.spilled.push(reg),
        }
    }

    fn give(&mut self, class: usize, reg: Reg, number: u8) {
        self.files[class].holders[usize::from(number)] = Some(reg);
        self.scanned.registers[reg] = number;
    }

    fn expire(&mut self, class: usize, start: u32) {
        for holder in &mut self.files[class].holders {
            if holder.is_some_and(|reg| self.intervals.of[reg].end < start) {
                *holder = None;
            }
        }
    }

    fn free(&self, class: usize, reg: Reg, interval: &Interval) -> Option<u8> {
        let file = &self.files[class];
        let is_free = |number: u8| {
            file.holders[usize::from(number)].is_none() && self.allowed(class, interval, number)
        };
        if self.program.argument == Some(reg) {
            return Some(RDI);
        }
        if let Some(hint) = interval.hint {
            let number = self.scanned.registers[hint];
            if self.program.regs[hint].class as usize == class
                && file.preference.contains(&number)
                && is_free(number)
            {
                return Some(number);
            }
        }
        file.preference
            .iter()
            .copied()
            .find(|&number| is_free(number))
    }

    /// The holder that is cheaper to spill than the interval, and its number.
    fn cheapest(&self, class: usize, interval: &Interval) -> Option<(u8, Reg)> {
        let file = &self.files[class];
        let mut best: Option<(u8, Reg, f32)> = None;
        for &number in file.preference {
            let Some(holder) = file.holders[usize::from(number)] else {
                continue;
            };
            let weight = self.intervals.of[holder].weight;
            let bound = best.map_or(interval.weight, |best| best.2);
            if weight < bound && self.allowed(class, interval, number) {
                best = Some((number, holder, weight));
            }
        }
        best.map(|(number, holder, _)| (number, holder))
    }

    /// Divisions destroy two registers.
    fn allowed(&self, class: usize, interval: &Interval, number: u8) -> bool {
        if class != Class::General as usize || ![RAX, RDX].contains(&number) {
            return true;
        }
        let divisions = &self.intervals.divisions;
        let first = divisions.partition_point(|&position| position + 1 < interval.start);
        divisions
            .get(first)
            .is_none_or(|&position| position > interval.end)
    }
}
