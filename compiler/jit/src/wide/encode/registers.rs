//! The machine's registers by number.

use iced_x86::Register;

use super::super::features::Features;
use super::super::machine::{Class, View, Width};

/// General registers by number in the encoding.
const FULL: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

pub(in super::super) const RAX: u8 = 0;
pub(in super::super) const RDX: u8 = 2;
pub(in super::super) const RDI: u8 = 7;

/// Those that a function of the System V convention gives back as it found them.
pub(super) const CALLEE_SAVED: [u8; 6] = [3, 5, 12, 13, 14, 15];

/// All but the stack pointer, those that need not be saved first.
const GENERAL: [u8; 15] = [0, 1, 2, 6, 7, 8, 9, 10, 11, 3, 5, 12, 13, 14, 15];
const VECTOR: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];
/// k0 as a mask of writes means all.
const MASK: [u8; 7] = [1, 2, 3, 4, 5, 6, 7];

/// The numbers that may be given, in the order to try them.
pub(in super::super) fn preference(class: Class, features: Features) -> &'static [u8] {
    match class {
        Class::General => &GENERAL,
        Class::Vector if features.avx512 => &VECTOR,
        Class::Vector => &VECTOR[..16],
        Class::Mask => &MASK,
    }
}

/// The name of a register of that number.
pub(super) fn named(number: u8, view: View) -> Register {
    let number = u32::from(number);
    match view {
        View::Full => FULL[number as usize],
        View::Word => sized(number, Register::EAX, Register::R8D),
        View::Byte => byte(number),
        View::Vector(Width::X) => Register::XMM0 + number,
        View::Vector(Width::Y) => Register::YMM0 + number,
        View::Vector(Width::Z) => Register::ZMM0 + number,
        View::Mask => Register::K0 + number,
    }
}

fn sized(number: u32, low: Register, high: Register) -> Register {
    match number {
        0..8 => low + number,
        _ => high + (number - 8),
    }
}

/// 4 to 7 are spl, bpl, sil and dil, not ah to bh.
fn byte(number: u32) -> Register {
    match number {
        0..4 => Register::AL + number,
        4..8 => Register::SPL + (number - 4),
        _ => Register::R8L + (number - 8),
    }
}
