//! The machine types that stand for a vector, constants, and moving lanes between them.

use cranelift::prelude::{FloatCC, InstBuilder, IntCC, types};
use cranelift_codegen::ir::{self, ConstantData};
use dlm_core::loops::Type;
use smallvec::smallvec;

use super::{Emitter, Parts};

/// The machine's type of one part.
///
/// A scalar mask is a byte, 0 or 1; in vectors a mask is a lane of ones or zeros.
pub(super) fn part_type(ty: Type) -> ir::Type {
    match ty {
        Type::Index => types::I64,
        Type::F32(1 | 2) => types::F32,
        Type::I32(1 | 2) => types::I32,
        Type::Mask(1 | 2) => types::I8,
        Type::F32(_) => types::F32X4,
        Type::I32(_) | Type::Mask(_) => types::I32X4,
    }
}

/// How many parts there are.
pub(super) fn part_count(ty: Type) -> usize {
    match ty.lanes() {
        None | Some(0 | 1) => 1,
        Some(2) => 2,
        Some(lanes) => usize::from(lanes / 4).max(1),
    }
}

/// Whether the parts are 128 bits wide.
pub(super) fn is_wide(ty: Type) -> bool {
    ty.lanes().is_some_and(|lanes| lanes >= 4)
}

impl Emitter<'_, '_> {
    /// A constant in every lane, made once in a scope.
    pub(super) fn constant(&mut self, ty: Type, bits: i64) -> Parts {
        let bits = match (ty, is_wide(ty)) {
            (Type::Mask(_), true) => -(bits & 1),
            _ => bits,
        };
        let part = self.part_constant(part_type(ty), bits);
        smallvec![part; part_count(ty)]
    }

    /// A machine constant; the bits are those of a lane.
    pub(super) fn part_constant(&mut self, ty: ir::Type, bits: i64) -> ir::Value {
        let key = (ty, bits);
        let known = self.scopes.iter().rev().find_map(|s| s.constants.get(&key));
        if let Some(&known) = known {
            return known;
        }
        let value = match ty {
            types::F32 => self.builder.ins().f32const(f32::from_bits(bits as u32)),
            types::F32X4 | types::I32X4 => self.vector_constant(ty, [bits as u32; 4]),
            types::I32 => self.builder.ins().iconst(ty, i64::from(bits as u32)),
            _ => self.builder.ins().iconst(ty, bits),
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.constants.insert(key, value);
        }
        value
    }

    /// Four lanes of constants.
    pub(super) fn vector_constant(&mut self, ty: ir::Type, lanes: [u32; 4]) -> ir::Value {
        let bytes: Vec<u8> = lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        let data = ConstantData::from(bytes.as_slice());
        let constant = self.builder.func.dfg.constants.insert(data);
        self.builder.ins().vconst(ty, constant)
    }

    /// The same bits as another type of the same width.
    pub(super) fn cast(&mut self, to: ir::Type, value: ir::Value) -> ir::Value {
        if self.builder.func.dfg.value_type(value) == to {
            return value;
        }
        let flags = ir::MemFlagsData::new().with_endianness(ir::Endianness::Little);
        self.builder.ins().bitcast(to, flags, value)
    }

    /// A scalar in all lanes of one wide part.
    pub(super) fn splat_part(&mut self, ty: Type, scalar: ir::Value) -> ir::Value {
        let wide = part_type(ty);
        let scalar = match ty {
            Type::Mask(_) => {
                let wider = self.builder.ins().uextend(types::I32, scalar);
                self.builder.ins().ineg(wider)
            }
            _ => scalar,
        };
        self.builder.ins().splat(wide, scalar)
    }

    /// A scalar in all lanes of a vector.
    pub(super) fn splat(&mut self, ty: Type, scalar: ir::Value) -> Parts {
        let part = match is_wide(ty) {
            true => self.splat_part(ty, scalar),
            false => scalar,
        };
        smallvec![part; part_count(ty)]
    }

    /// One lane as a scalar.
    pub(super) fn lane(&mut self, ty: Type, parts: &Parts, lane: usize) -> ir::Value {
        if !is_wide(ty) {
            return parts[lane];
        }
        let scalar = self
            .builder
            .ins()
            .extractlane(parts[lane / 4], (lane % 4) as u8);
        match ty {
            Type::Mask(_) => {
                let zero = self.part_constant(types::I32, 0);
                self.builder.ins().icmp(IntCC::NotEqual, scalar, zero)
            }
            _ => scalar,
        }
    }

    /// Four scalars (of the machine's lane type) as one wide part.
    pub(super) fn gather(&mut self, ty: ir::Type, lanes: [ir::Value; 4]) -> ir::Value {
        let mut vector = self.builder.ins().scalar_to_vector(ty, lanes[0]);
        for (number, &lane) in lanes.iter().enumerate().skip(1) {
            vector = self.builder.ins().insertlane(vector, lane, number as u8);
        }
        vector
    }

    /// A float comparison; the operands may change places, since vectors lack some.
    pub(super) fn compare_float(&mut self, code: FloatCC, a: ir::Value, b: ir::Value) -> ir::Value {
        self.builder.ins().fcmp(code, a, b)
    }
}
