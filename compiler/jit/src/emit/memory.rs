//! Loads and stores.

use cranelift::prelude::{InstBuilder, IntCC, types};
use cranelift_codegen::ir;
use dlm_core::loops::{Address, Element, LoadKind, Type, Value};
use smallvec::smallvec;

use super::address::Place;
use super::vector::{is_wide, part_type};
use super::{Emitter, Parts, readable};
use crate::error::JitError;

impl Emitter<'_, '_> {
    pub(super) fn load(
        &mut self,
        address: &Address,
        kind: LoadKind,
        ty: Type,
    ) -> Result<Parts, JitError> {
        let place = self.place(address)?;
        let element = self.kernel.buffers[address.buffer].element;
        let lanes = usize::from(ty.lanes().unwrap_or(1));
        let stride = match kind {
            LoadKind::Contiguous => 1,
            LoadKind::Splat => 0,
            LoadKind::Strided(stride) => stride,
            LoadKind::SplatPair => {
                let (pointer, offset) = self.at(place, 0);
                let ins = self.builder.ins();
                let pair = ins.load(types::I32, readable(), pointer, offset);
                return Ok(self.splat(ty, pair));
            }
        };
        if lanes == 1 || stride == 0 {
            let scalar = self.load_scalar(element, place, 0);
            return Ok(self.splat(ty, scalar));
        }
        if !is_wide(ty) {
            let lane = |lane: i64| lane.wrapping_mul(stride);
            let first = self.load_scalar(element, place, lane(0));
            return Ok(smallvec![first, self.load_scalar(element, place, lane(1))]);
        }
        let mut parts = Parts::new();
        for first in (0..lanes as i64).step_by(4) {
            parts.push(match stride {
                1 => self.load_part(element, place, first),
                _ => self.load_strided(element, ty, place, first, stride),
            });
        }
        Ok(parts)
    }

    /// The element `beyond` the place: a float, an i32, or a mask's byte.
    fn load_scalar(&mut self, element: Element, place: Place, beyond: i64) -> ir::Value {
        let (pointer, offset) = self.at(place, beyond.wrapping_mul(element.bytes() as i64));
        let (ins, flags) = (self.builder.ins(), readable());
        match element {
            Element::F32 => ins.load(types::F32, flags, pointer, offset),
            Element::I32 => ins.load(types::I32, flags, pointer, offset),
            Element::U8 => ins.uload8(types::I32, flags, pointer, offset),
            Element::Bf16 => ins.uload16(types::I32, flags, pointer, offset),
            Element::Bool => ins.load(types::I8, flags, pointer, offset),
        }
    }

    /// Four elements in a row.
    fn load_part(&mut self, element: Element, place: Place, beyond: i64) -> ir::Value {
        let (pointer, offset) = self.at(place, beyond.wrapping_mul(element.bytes() as i64));
        let flags = readable();
        match element {
            Element::F32 => self
                .builder
                .ins()
                .load(types::F32X4, flags, pointer, offset),
            Element::I32 => self
                .builder
                .ins()
                .load(types::I32X4, flags, pointer, offset),
            Element::Bf16 => {
                let halves = self.builder.ins().load(types::I64, flags, pointer, offset);
                let vector = self.builder.ins().scalar_to_vector(types::I64X2, halves);
                let halves = self.cast(types::I16X8, vector);
                self.builder.ins().uwiden_low(halves)
            }
            Element::U8 | Element::Bool => {
                let bytes = self.builder.ins().load(types::I32, flags, pointer, offset);
                let vector = self.builder.ins().scalar_to_vector(types::I32X4, bytes);
                let bytes = self.cast(types::I8X16, vector);
                let halves = self.builder.ins().uwiden_low(bytes);
                let words = self.builder.ins().uwiden_low(halves);
                match element {
                    Element::Bool => self.builder.ins().ineg(words),
                    _ => words,
                }
            }
        }
    }

    fn load_strided(
        &mut self,
        element: Element,
        ty: Type,
        place: Place,
        first: i64,
        stride: i64,
    ) -> ir::Value {
        let lanes = [0, 1, 2, 3].map(|lane| {
            let scalar = self.load_scalar(element, place, (first + lane).wrapping_mul(stride));
            match element {
                Element::Bool => {
                    let wider = self.builder.ins().uextend(types::I32, scalar);
                    self.builder.ins().ineg(wider)
                }
                _ => scalar,
            }
        });
        self.gather(part_type(ty), lanes)
    }

    pub(super) fn store(
        &mut self,
        address: &Address,
        value: Value,
        stride: i64,
    ) -> Result<(), JitError> {
        let parts = self.parts(value)?;
        let ty = self.type_of(value);
        let place = self.place(address)?;
        let element = self.kernel.buffers[address.buffer].element;
        let lanes = usize::from(ty.lanes().unwrap_or(1));
        if is_wide(ty) && stride == 1 {
            for (number, &part) in parts.iter().enumerate() {
                self.store_part(element, place, 4 * number as i64, part);
            }
            return Ok(());
        }
        for lane in 0..lanes {
            let scalar = self.lane(ty, &parts, lane);
            self.store_scalar(element, place, (lane as i64).wrapping_mul(stride), scalar);
        }
        Ok(())
    }

    fn store_scalar(&mut self, element: Element, place: Place, beyond: i64, scalar: ir::Value) {
        let (pointer, offset) = self.at(place, beyond.wrapping_mul(element.bytes() as i64));
        let (ins, flags) = (self.builder.ins(), readable());
        match element {
            Element::U8 => ins.istore8(flags, scalar, pointer, offset),
            Element::Bf16 => ins.istore16(flags, scalar, pointer, offset),
            Element::F32 | Element::I32 | Element::Bool => {
                ins.store(flags, scalar, pointer, offset)
            }
        };
    }

    fn store_part(&mut self, element: Element, place: Place, beyond: i64, part: ir::Value) {
        let (pointer, offset) = self.at(place, beyond.wrapping_mul(element.bytes() as i64));
        let part = match element {
            Element::F32 | Element::I32 => part,
            Element::U8 => {
                let low = self.part_constant(types::I32X4, 0xff);
                let low = self.builder.ins().band(part, low);
                self.narrow(low)
            }
            Element::Bf16 => {
                let low = self.part_constant(types::I32X4, 0xffff);
                let low = self.builder.ins().band(part, low);
                let halves = self.builder.ins().unarrow(low, low);
                let vector = self.cast(types::I64X2, halves);
                self.builder.ins().extractlane(vector, 0)
            }
            Element::Bool => {
                let ones = self.builder.ins().ushr_imm_u(part, 31);
                self.narrow(ones)
            }
        };
        self.builder.ins().store(readable(), part, pointer, offset);
    }

    /// The low bytes of four lanes, each below 256, as one i32.
    fn narrow(&mut self, words: ir::Value) -> ir::Value {
        let halves = self.builder.ins().unarrow(words, words);
        let bytes = self.builder.ins().unarrow(halves, halves);
        let vector = self.cast(types::I32X4, bytes);
        self.builder.ins().extractlane(vector, 0)
    }

    /// A byte, 0 or 1, from a comparison of integers.
    pub(super) fn condition(&mut self, code: IntCC, a: ir::Value, b: ir::Value) -> ir::Value {
        let truth = self.builder.ins().icmp(code, a, b);
        self.builder.ins().uextend(types::I64, truth)
    }
}
