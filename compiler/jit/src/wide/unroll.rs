//! Several rounds of a short sum's loop, written one after the other.
//!
//! Of a loop with a dozen multiply-adds, what counts and what steps pointers is an eighth of all instructions: where a
//! processor multiplies faster than it decodes, an eighth of the time.
//!
//! Rounds are written out behind the assignment of registers: addresses of one differ from those of the last by constants,
//! which go to displacements, so that nothing is to be assigned again, and the loop IR stays as short as it is. Sums are
//! added to in the same order. Unless the rounds are known to come out even, the counter runs ahead by all but one of them, so
//! that the comparison stays the loop's own, and a loop of single rounds does the rest. Counters are places in memory, or few:
//! they are far from where running ahead would make them negative.
//!
//! What steps is told from the code: only a loop's end adds constants to registers (`lower::control`), and values that are
//! carried round it are copied, which writes a register or, where they are spilled, names one.

use iced_x86::Code;

use super::machine::{
    Base, Class, First, Inst, Item, Label, Memory, Op, Operand, Program, Reg, View,
};
use super::ops::VectorOp;

/// Rounds written one after the other.
const ROUNDS: i64 = 4;
/// Instructions of a round that is short.
const SHORT: usize = 48;
/// Multiply-adds of a round at least.
const PRODUCTS: usize = 4;

/// Writes out rounds of the innermost loops that are short sums.
pub(super) fn unroll(program: &mut Program) {
    let items = std::mem::take(&mut program.items);
    let mut rest = &items[..];
    let mut out = Vec::with_capacity(items.len());
    while let Some(begin) = rest.iter().position(|item| *item == Item::LoopBegin) {
        let (before, from) = rest.split_at(begin);
        out.extend_from_slice(before);
        let found = Sum::at(program, before, from);
        rest = match found.and_then(|sum| Some((sum.rounds()?, sum))) {
            Some((rounds, sum)) => {
                sum.write(program, rounds, &mut out);
                &from[sum.length..]
            }
            None => {
                out.push(Item::LoopBegin);
                &from[1..]
            }
        };
    }
    out.extend_from_slice(rest);
    program.items = out;
}

/// A loop whose rounds differ in nothing but displacements.
struct Sum<'a> {
    body: &'a [Item],
    /// Pointers, and the bytes by which each steps.
    pointers: Vec<(Reg, i64)>,
    counter: Reg,
    step: i64,
    /// What compares the counter with its end.
    compare: &'a Inst,
    head: Label,
    exit: Label,
    /// Rounds, where they are known.
    count: Option<i64>,
    /// Whether a comparison before the loop leaves it out where there is no round.
    guarded: bool,
    /// Items from the loop's begin to its end.
    length: usize,
}

impl<'a> Sum<'a> {
    /// The sum that `from` begins with, if it is one.
    fn at(program: &Program, before: &[Item], from: &'a [Item]) -> Option<Sum<'a>> {
        let end = 1 + from[1..]
            .iter()
            .position(|item| matches!(item, Item::LoopBegin | Item::LoopEnd))?;
        let [Item::LoopBegin, Item::Label(head), own @ ..] = &from[..end] else {
            return None;
        };
        let [
            own @ ..,
            Item::Inst(count),
            Item::Inst(compare),
            Item::Jump(Code::Jl_rel32_64, to),
        ] = own
        else {
            return None;
        };
        let [Item::LoopEnd, Item::Label(exit), ..] = from[end..] else {
            return None;
        };
        let (counter, step) = increment(count)?;
        let stepping = |item: &Item| matches!(item, Item::Inst(inst) if increment(inst).is_some());
        let body = own.len() - own.iter().rev().take_while(|item| stepping(item)).count();
        let (body, pointers) = own.split_at(body);
        let pointers = pointers.iter().filter_map(|item| match item {
            Item::Inst(inst) => increment(inst),
            _ => None,
        });
        let sum = Sum {
            body,
            pointers: pointers.collect(),
            counter,
            step,
            compare,
            head: *head,
            exit,
            count: before
                .last()
                .and_then(|set| count_of(set, compare, counter, step)),
            guarded: is_guard(before, compare, exit),
            length: end + 1,
        };
        (to == head && step > 0 && sum.compares_counter() && sum.is_short(program)).then_some(sum)
    }

    fn compares_counter(&self) -> bool {
        let counter = matches!(self.compare.operands[..], [Operand::Register(reg, _), _] if reg == self.counter);
        let compares = [Code::Cmp_r64_rm64, Code::Cmp_rm64_imm32];
        counter && compares.map(Op::General).contains(&self.compare.op)
    }

    /// Whether the body is a few multiply-adds, stores nothing, and has what steps in addresses only.
    fn is_short(&self, program: &Program) -> bool {
        let insts = self.body.iter().map(|item| match item {
            Item::Inst(inst) => Some(inst),
            _ => None,
        });
        let Some(insts) = insts.collect::<Option<Vec<&Inst>>>() else {
            return false;
        };
        let products = insts.iter().filter(|inst| is_product(inst)).count();
        let fits = |inst: &&Inst| {
            let to_general = inst
                .written()
                .is_some_and(|reg| program.regs[reg].class == Class::General);
            !to_general && !is_store(inst) && !self.names_what_steps(inst)
        };
        products >= PRODUCTS && insts.len() <= SHORT && insts.iter().all(fits)
    }

    /// Whether an instruction reads a register that steps, other than as an address.
    fn names_what_steps(&self, inst: &Inst) -> bool {
        let mut operands = inst.operands.iter();
        operands.any(|own| matches!(own, Operand::Register(reg, _) if self.step_of(*reg).is_some()))
    }

    /// By how much a register is more in the next round.
    fn step_of(&self, reg: Reg) -> Option<i64> {
        let pointer = self.pointers.iter().find(|pointer| pointer.0 == reg);
        let counter = (reg == self.counter).then_some(self.step);
        pointer.map(|pointer| pointer.1).or(counter)
    }

    /// Whether no single rounds are left.
    fn even(&self) -> bool {
        self.count.is_some_and(|count| count % ROUNDS == 0)
    }

    /// How far the counter runs ahead.
    fn ahead(&self) -> i64 {
        match self.even() {
            true => 0,
            false => (ROUNDS - 1) * self.step,
        }
    }

    /// The rounds' instructions, if there are so many and their addresses are near enough.
    fn rounds(&self) -> Option<Vec<Item>> {
        if self.count.is_some_and(|count| count < ROUNDS) {
            return None;
        }
        let rounds = (0..ROUNDS).flat_map(|round| {
            let later = move |item: &Item| self.later(item, round);
            self.body.iter().map(later)
        });
        rounds.collect()
    }

    /// An instruction of the body, so many rounds later.
    fn later(&self, item: &Item, round: i64) -> Option<Item> {
        let Item::Inst(inst) = item else {
            return None;
        };
        let mut inst = inst.clone();
        for operand in &mut inst.operands {
            if let Operand::Memory(memory) = operand {
                let further = self.further(memory, round)?;
                let displacement = i64::from(memory.displacement).checked_add(further)?;
                memory.displacement = i32::try_from(displacement).ok()?;
            }
        }
        Some(Item::Inst(inst))
    }

    /// The bytes from where an address would be with the registers as they are before the rounds.
    fn further(&self, memory: &Memory, round: i64) -> Option<i64> {
        let moved = |reg: Reg| match self.step_of(reg) {
            Some(step) => {
                let ahead = if reg == self.counter { self.ahead() } else { 0 };
                step.checked_mul(round)?.checked_sub(ahead)
            }
            None => Some(0),
        };
        let base = match memory.base {
            Base::Register(reg) => moved(reg)?,
            Base::Pool(_) | Base::Frame(_) => 0,
        };
        match memory.index {
            Some((reg, scale)) => moved(reg)?.checked_mul(i64::from(scale))?.checked_add(base),
            None => Some(base),
        }
    }

    fn write(&self, program: &mut Program, rounds: Vec<Item>, out: &mut Vec<Item>) {
        if self.guarded {
            out.truncate(out.len() - 2);
        }
        let (head, rest) = (program.label(), program.label());
        let compare = Item::Inst(self.compare.clone());
        let none_left = |to: Label| [compare.clone(), Item::Jump(Code::Jge_rel32_64, to)];
        if !self.even() {
            out.push(add(self.counter, self.ahead()));
        }
        if self.count.is_none() {
            out.extend(none_left(rest));
        }
        out.extend([Item::LoopBegin, Item::Label(head)]);
        out.extend(rounds);
        self.write_end(ROUNDS, head, out);
        out.push(Item::LoopEnd);
        out.push(Item::Label(rest));
        if !self.even() {
            out.push(add(self.counter, -self.ahead()));
            if self.count.is_none() {
                out.extend(none_left(self.exit));
            }
            // No loop to begin at a line of code: it is short, and seldom entered.
            out.push(Item::Label(self.head));
            out.extend_from_slice(self.body);
            self.write_end(1, self.head, out);
        }
    }

    fn write_end(&self, rounds: i64, head: Label, out: &mut Vec<Item>) {
        let pointers = self.pointers.iter();
        out.extend(pointers.map(|&(pointer, bytes)| add(pointer, rounds * bytes)));
        out.push(add(self.counter, rounds * self.step));
        out.push(Item::Inst(self.compare.clone()));
        out.push(Item::Jump(Code::Jl_rel32_64, head));
    }
}

fn is_product(inst: &Inst) -> bool {
    use VectorOp::{DotPairs, Fma213, Fma231};
    matches!(inst.op, Op::Vector(Fma231 | Fma213 | DotPairs, _))
}

fn is_store(inst: &Inst) -> bool {
    let to_memory = matches!(inst.operands.first(), Some(Operand::Memory(_)));
    to_memory && matches!(inst.op, Op::Vector(..))
}

/// The register that an instruction adds a constant to, and the constant: a small one, so that several fit.
fn increment(inst: &Inst) -> Option<(Reg, i64)> {
    match inst.operands[..] {
        [Operand::Register(reg, _), Operand::Immediate(by)]
            if inst.op == Op::General(Code::Add_rm64_imm32) =>
        {
            i32::try_from(by * ROUNDS).is_ok().then_some((reg, by))
        }
        _ => None,
    }
}

fn add(reg: Reg, by: i64) -> Item {
    let operands = [Operand::Register(reg, View::Full), Operand::Immediate(by)];
    Item::Inst(Inst::new(
        Op::General(Code::Add_rm64_imm32),
        First::Modifies,
        &operands,
    ))
}

/// The rounds of a loop whose counter is set by the item before it.
fn count_of(set: &Item, compare: &Inst, counter: Reg, step: i64) -> Option<i64> {
    let Item::Inst(set) = set else {
        return None;
    };
    let constant = [Code::Mov_r32_imm32, Code::Mov_rm64_imm32]
        .map(Op::General)
        .contains(&set.op);
    match (&set.operands[..], &compare.operands[..]) {
        ([Operand::Register(reg, _), Operand::Immediate(begin)], [_, Operand::Immediate(end)])
            if constant && *reg == counter && step > 0 =>
        {
            Some(((end - begin).max(0) + step - 1) / step)
        }
        _ => None,
    }
}

/// Whether the last of `before` leave for `exit` by the same comparison.
fn is_guard(before: &[Item], compare: &Inst, exit: Label) -> bool {
    match before {
        [.., Item::Inst(first), Item::Jump(Code::Jge_rel32_64, to)] => {
            first == compare && *to == exit
        }
        _ => false,
    }
}
