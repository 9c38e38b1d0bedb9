//! Where each virtual register is live, and what it would cost to spill it.

use cranelift_entity::{EntitySet, SecondaryMap};

use super::super::machine::{Base, First, Inst, Item, Memory, Op, Operand, Program, Reg};

/// How much dearer a use is for each loop around it.
const LOOP_COST: f32 = 10.0;

/// From a position to a position, both included. An item reads at its doubled index and writes one after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) start: u32,
    pub(super) end: u32,
    /// What spilling costs for the room it gives; infinite where it gives none.
    pub(super) weight: f32,
    /// A register that is copied to this one where this one begins.
    pub(super) hint: Option<Reg>,
}

impl Default for Interval {
    fn default() -> Interval {
        Interval {
            start: u32::MAX,
            end: 0,
            weight: 0.0,
            hint: None,
        }
    }
}

/// The intervals of a program.
pub(super) struct Intervals {
    pub(super) of: SecondaryMap<Reg, Interval>,
    /// Positions of reads that destroy rax and rdx.
    pub(super) divisions: Vec<u32>,
}

impl Intervals {
    /// `brief` registers, made by spilling, are never spilled again.
    pub(super) fn of(program: &Program, brief: &EntitySet<Reg>) -> Intervals {
        let mut walk = Walk::new(program);
        if let Some(argument) = program.argument {
            walk.touch(argument, 0, 0.0);
        }
        for (index, item) in program.items.iter().enumerate() {
            walk.item(item, index as u32 * 2);
        }
        walk.finish(program, brief)
    }
}

struct Walk {
    intervals: Intervals,
    cost: f32,
    open: Vec<u32>,
    /// Begin and end of each loop, inner ones first.
    loops: Vec<(u32, u32)>,
}

impl Walk {
    fn new(program: &Program) -> Walk {
        Walk {
            intervals: Intervals {
                of: SecondaryMap::with_capacity(program.regs.len()),
                divisions: Vec::new(),
            },
            cost: 1.0,
            open: Vec::new(),
            loops: Vec::new(),
        }
    }

    fn touch(&mut self, reg: Reg, position: u32, cost: f32) {
        let interval = &mut self.intervals.of[reg];
        interval.start = interval.start.min(position);
        interval.end = interval.end.max(position);
        interval.weight += cost;
    }

    fn item(&mut self, item: &Item, position: u32) {
        match item {
            Item::Inst(inst) => self.inst(inst, position),
            Item::LoopBegin => {
                self.open.push(position);
                self.cost *= LOOP_COST;
            }
            Item::LoopEnd => {
                let begin = self.open.pop().unwrap_or(0);
                self.loops.push((begin, position));
                self.cost /= LOOP_COST;
            }
            Item::Label(_) | Item::Jump(..) => {}
        }
    }

    fn inst(&mut self, inst: &Inst, position: u32) {
        for_each_read(inst, &mut |reg| self.touch(reg, position, self.cost));
        if let Some(reg) = inst.written() {
            self.touch(reg, position + 1, self.cost);
        }
        if let Some((to, from)) = inst.copies() {
            let interval = &mut self.intervals.of[to];
            if interval.start == position + 1 {
                interval.hint = Some(from);
            }
        }
        if let Op::Divide { .. } = inst.op {
            self.intervals.divisions.push(position);
        }
    }

    fn finish(mut self, program: &Program, brief: &EntitySet<Reg>) -> Intervals {
        for reg in program.regs.keys() {
            let interval = &mut self.intervals.of[reg];
            for &(begin, end) in &self.loops {
                if interval.start < begin && interval.end > begin {
                    interval.end = interval.end.max(end);
                }
            }
            let length = interval.end.saturating_sub(interval.start) + 1;
            interval.weight /= length as f32;
            if brief.contains(reg) || program.argument == Some(reg) {
                interval.weight = f32::INFINITY;
            }
        }
        self.intervals
    }
}

/// Calls `visit` with every register an instruction reads.
pub(super) fn for_each_read(inst: &Inst, visit: &mut dyn FnMut(Reg)) {
    for (at, operand) in inst.operands.iter().enumerate() {
        match operand {
            Operand::Register(reg, _) if at > 0 || inst.first != First::Writes => visit(*reg),
            Operand::Memory(memory) => for_each_of_memory(memory, visit),
            Operand::Register(..) | Operand::Immediate(_) => {}
        }
    }
    if let Some((mask, _)) = inst.mask {
        visit(mask);
    }
}

fn for_each_of_memory(memory: &Memory, visit: &mut dyn FnMut(Reg)) {
    if let Base::Register(base) = memory.base {
        visit(base);
    }
    if let Some((index, _)) = memory.index {
        visit(index);
    }
}
