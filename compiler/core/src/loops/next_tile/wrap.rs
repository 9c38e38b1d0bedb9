//! Behind the last tile of a loop comes the first one of the next round of the loop around it: what that reads lies
//! elsewhere, as in the next rows of an image.

use super::{Asking, Tiles, factor};
use crate::loops::{Address, Instruction, IntOp, LoopKind, Statement, Type, Value};

/// From a sum's begin to the counters of loops, so many steps of arithmetic at most.
const DEPTH: usize = 6;

impl Asking<'_> {
    /// Has a place of the tile behind this one, of the loop `outer[at]`, be in the next round of the loop around it where
    /// this tile is the last. Nothing changes where there is no such loop, or it does not move the place.
    pub(super) fn wrap(&mut self, place: &mut Address, outer: &[Tiles], at: usize) {
        let own = outer[at];
        let around = at.checked_sub(1).map(|around| outer[around]);
        let (Some(around), Some(count)) = (around, own.count.filter(|&count| count > 1)) else {
            return;
        };
        let back = factor(place, own.variable) * own.step * count;
        let moved = self.moved(place, around.variable) * around.step;
        if moved == 0 || moved == back {
            return;
        }
        let is_last = self.is_last(own, count);
        place.terms.push((is_last, moved - back));
        place.terms.sort_by_key(|term| term.0);
    }

    /// 1 in the last tile of a loop that begins at 0, 0 in the others.
    fn is_last(&mut self, own: Tiles, count: i64) -> Value {
        if let Some(&(_, known)) = self.last.iter().find(|last| last.0 == own.variable) {
            return known;
        }
        let nearly = self.define(Instruction::IndexConst(1 - (count - 1) * own.step));
        let none = self.define(Instruction::IndexConst(0));
        let behind = self.define(Instruction::Int(IntOp::Add, own.variable, nearly));
        let is_last = self.define(Instruction::Int(IntOp::Max, behind, none));
        self.last.push((own.variable, is_last));
        is_last
    }

    fn define(&mut self, instruction: Instruction) -> Value {
        let value = self.values.push(Type::Index);
        self.defined.push(Statement::Define(value, instruction));
        value
    }

    /// By how many elements an address moves with a variable: a term that is the variable, or a sum's counter that begins
    /// further. Of terms that are computed otherwise nothing is known.
    pub(super) fn moved(&self, place: &Address, variable: Value) -> i64 {
        let moved = place.terms.iter().map(|&(term, factor)| {
            let by_term = if term == variable {
                1
            } else {
                let begin = self.begins.get(&term);
                begin.map_or(0, |&begin| self.moves(begin, variable))
            };
            factor * by_term
        });
        moved.sum()
    }

    /// By how much a sum's first index moves with a variable; where it is the greater of two, as at an image's border, by
    /// as much as the one that moves.
    pub(super) fn moves(&self, value: Value, variable: Value) -> i64 {
        self.moves_within(value, variable, DEPTH)
    }

    fn moves_within(&self, value: Value, variable: Value, depth: usize) -> i64 {
        if value == variable {
            return 1;
        }
        let Some(&(op, a, b)) = self.integers.get(&value).filter(|_| depth > 0) else {
            return 0;
        };
        let of = |own: Value| self.moves_within(own, variable, depth - 1);
        let exact = |own: Value| self.ranges.value(own).exact();
        match op {
            IntOp::Add => of(a).saturating_add(of(b)),
            IntOp::Sub => of(a).saturating_sub(of(b)),
            IntOp::Mul => match (exact(a), exact(b)) {
                (_, Some(by)) => by.saturating_mul(of(a)),
                (Some(by), _) => by.saturating_mul(of(b)),
                _ => 0,
            },
            IntOp::Min | IntOp::Max => match (of(a), of(b)) {
                (by, 0) | (0, by) => by,
                (one, other) if one == other => one,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// Notes what a kernel's indices are computed from, and where its sums begin.
    pub(super) fn note_indices(&mut self) {
        let body = &self.kernel.body;
        body.for_each_statement(&mut |statement| match statement {
            Statement::Define(value, Instruction::Int(op, a, b)) => {
                self.integers.insert(*value, (*op, *a, *b));
            }
            Statement::Loop(own) if own.kind == LoopKind::Reduction => {
                self.begins.insert(own.variable, own.begin);
            }
            _ => {}
        });
    }
}
