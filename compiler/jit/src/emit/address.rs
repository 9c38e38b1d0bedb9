//! Addresses as base pointers and constant displacements.
//!
//! The terms of an address are split by the level at which their values become known. For each prefix of levels there
//! is at most one pointer in each scope; a longer one is computed from a shorter one.

use cranelift::prelude::{InstBuilder, types};
use cranelift_codegen::ir;
use dlm_core::loops::{Address, Block, Buffer, Instruction, Statement, Value};
use indexmap::IndexMap;

use super::{Emitter, Slot};
use crate::error::JitError;

/// Terms of an address with the buffer they count in.
pub(super) type Base = (Buffer, Vec<(Value, i64)>);

/// What has been computed in a block that dominates the rest of it.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) bases: IndexMap<Base, ir::Value>,
    pub(super) constants: IndexMap<(ir::Type, i64), ir::Value>,
}

/// A pointer and the bytes beyond it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) pointer: ir::Value,
    pub(super) offset: i64,
}

impl Emitter<'_, '_> {
    /// Where an address is.
    pub(super) fn place(&mut self, address: &Address) -> Result<Place, JitError> {
        let Some(decl) = self.kernel.buffers.get(address.buffer) else {
            return Err(self.refuse(format!("there is no buffer {}", address.buffer)));
        };
        let size = decl.element.bytes() as i64;
        let (terms, mut offset) = self.variable_terms(address, u32::MAX);
        for &(value, factor) in &terms {
            offset = offset.wrapping_add(self.shifts[value].wrapping_mul(factor));
        }
        Ok(Place {
            pointer: self.base((address.buffer, terms))?,
            offset: offset.wrapping_add(address.offset).wrapping_mul(size),
        })
    }

    /// The place `bytes` further, with a displacement that fits the instruction.
    pub(super) fn at(&mut self, place: Place, bytes: i64) -> (ir::Value, i32) {
        let offset = place.offset.wrapping_add(bytes);
        match i32::try_from(offset) {
            Ok(offset) => (place.pointer, offset),
            Err(_) => {
                let far = self.builder.ins().iconst(types::I64, offset);
                (self.builder.ins().iadd(place.pointer, far), 0)
            }
        }
    }

    /// The terms whose values are not constant and known at `level`, and the sum of the constant ones.
    fn variable_terms(&self, address: &Address, level: u32) -> (Vec<(Value, i64)>, i64) {
        let (mut terms, mut constant) = (Vec::new(), 0i64);
        for &(value, factor) in &address.terms {
            match self.slots[value] {
                Slot::Constant(index) => {
                    constant = constant.wrapping_add(index.wrapping_mul(factor));
                }
                _ if self.facts.levels[value] <= level => terms.push((value, factor)),
                _ => {}
            }
        }
        (terms, constant)
    }

    /// The pointer to a base, from the nearest scope that has it, else computed now.
    pub(super) fn base(&mut self, base: Base) -> Result<ir::Value, JitError> {
        if base.1.is_empty() {
            return Ok(self.pointers[base.0.as_u32() as usize]);
        }
        if let Some(known) = self.scopes.iter().rev().find_map(|s| s.bases.get(&base)) {
            return Ok(*known);
        }
        let deepest = base.1.iter().map(|term| self.facts.levels[term.0]).max();
        let is_deepest = |value: Value| Some(self.facts.levels[value]) == deepest;
        let (last, outer): (Vec<_>, Vec<_>) = base.1.iter().partition(|term| is_deepest(term.0));
        let size = self.kernel.buffers[base.0].element.bytes() as i64;
        let mut pointer = self.base((base.0, outer))?;
        for (value, factor) in last {
            let Slot::Ready(parts) = self.slots[value].clone() else {
                return Err(self.refuse(format!("{value} is used before it is defined")));
            };
            let bytes = self.scaled(parts[0], factor.wrapping_mul(size));
            pointer = self.builder.ins().iadd(pointer, bytes);
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.bases.insert(base, pointer);
        }
        Ok(pointer)
    }

    /// `value * factor` with a shift where that does.
    pub(super) fn scaled(&mut self, value: ir::Value, factor: i64) -> ir::Value {
        match factor {
            1 => value,
            _ if factor > 1 && factor.count_ones() == 1 => {
                let count = i64::from(factor.trailing_zeros());
                self.builder.ins().ishl_imm_u(value, count)
            }
            _ => {
                let factor = self.builder.ins().iconst(types::I64, factor);
                self.builder.ins().imul(value, factor)
            }
        }
    }

    /// Computes now, before a nested block, the part of its addresses that is known at `level`.
    pub(super) fn hoist_bases(&mut self, nested: &Block, level: u32) -> Result<(), JitError> {
        for base in self.bases_in(nested, level) {
            self.base(base)?;
        }
        Ok(())
    }

    /// The bases in a block, up to `level`, each once.
    pub(super) fn bases_in(&self, nested: &Block, level: u32) -> Vec<Base> {
        let mut found: IndexMap<Base, ()> = IndexMap::new();
        nested.for_each_statement(&mut |statement| {
            let address = match statement {
                Statement::Define(_, Instruction::Load { address, .. })
                | Statement::Store { address, .. } => address,
                _ => return,
            };
            let (terms, _) = self.variable_terms(address, level);
            if !terms.is_empty() {
                found.insert((address.buffer, terms), ());
            }
        });
        found.into_keys().collect()
    }
}
