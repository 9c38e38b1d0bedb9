//! Every vector instruction of AVX2 that is interpreted, against the processor itself, for all pairs and triples of
//! numbers that are special to it.

#![cfg(target_arch = "x86_64")]

use iced_x86::{Code, Instruction, Register};
use region::Protection;

use super::{Encoded, argument, at, code};
use crate::processor::Interpreted;
use crate::wide::Features;

/// Zeros, subnormals, halves, large numbers, infinities, and NaNs of both kinds and signs.
const SPECIAL: [u32; 20] = [
    0,
    0x8000_0000,
    1,
    0x807f_ffff,
    0x0080_0000,
    0x3f00_0000,
    0xbf80_0000,
    0x3fc0_0000,
    0x4020_0000,
    0x4b80_0001,
    0x4eff_ffff,
    0x4f00_0000,
    0xcf00_0000,
    0x7f7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0001,
    0xffc1_2345,
    0x7f80_0003,
    0xffa5_a5a5,
];

const LANES: usize = 8;
const FIRST: Register = Register::YMM1;
const SECOND: Register = Register::YMM2;
const THIRD: Register = Register::YMM3;

/// All triples of special numbers, as three vectors of blocks.
fn triples() -> Vec<[[u32; LANES]; 3]> {
    let count = SPECIAL.len();
    let triple = |number: usize| {
        [number, number / count, number / count / count].map(|at| SPECIAL[at % count])
    };
    let numbers: Vec<usize> = (0..count.pow(3)).collect();
    let blocks = numbers.chunks_exact(LANES);
    blocks
        .map(|block| {
            [0, 1, 2].map(|operand| std::array::from_fn(|lane| triple(block[lane])[operand]))
        })
        .collect()
}

/// A function that loads three vectors, executes one instruction and stores the first.
fn function(instruction: Encoded) -> Vec<Encoded> {
    let load = Code::VEX_Vmovups_ymm_ymmm256;
    let mut list = Vec::new();
    for (number, to) in [(0, FIRST), (1, SECOND), (2, THIRD)] {
        list.push(argument(number, Register::RSI));
        list.push(Instruction::with2(load, to, at(Register::RSI)));
    }
    list.push(instruction);
    list.push(argument(3, Register::RSI));
    let store = Code::VEX_Vmovups_ymmm256_ymm;
    list.push(Instruction::with2(store, at(Register::RSI), FIRST));
    list.push(Ok(Instruction::with(Code::VEX_Vzeroupper)));
    list
}

fn check(instruction: Encoded) {
    let code = code(&function(instruction.clone()));
    let interpreted = Interpreted::new(&code).expect("all are known");
    let mut memory =
        region::alloc(code.bytes.len(), Protection::READ_WRITE_EXECUTE).expect("memory");
    let base = memory.as_mut_ptr::<u8>();
    // SAFETY: the allocation holds all bytes, and is executable; the function has that signature.
    let native: unsafe extern "C" fn(*const u64) = unsafe {
        std::ptr::copy_nonoverlapping(code.bytes.as_ptr(), base, code.bytes.len());
        std::mem::transmute(base)
    };
    for operands in triples() {
        let mut left = [[0_u32; LANES]; 2];
        for (way, left) in left.iter_mut().enumerate() {
            let [a, b, c] = operands.each_ref().map(|operand| operand.as_ptr() as u64);
            let arguments = [a, b, c, left.as_mut_ptr() as u64];
            match way {
                // SAFETY: the function reads three vectors and writes one, at these places.
                0 => unsafe { native(arguments.as_ptr()) },
                // SAFETY: as before.
                _ => unsafe { interpreted.run(arguments.as_ptr()) }.expect("runs"),
            }
        }
        let [native, interpreted] = left;
        assert!(
            native == interpreted,
            "{:?} of {operands:x?} is {native:x?}, interpreted {interpreted:x?}",
            instruction.expect("operands fit").code(),
        );
    }
}

#[test]
fn instructions_of_three_vectors() {
    if Features::detect().is_none() {
        return;
    }
    for code in [
        Code::VEX_Vaddps_ymm_ymm_ymmm256,
        Code::VEX_Vsubps_ymm_ymm_ymmm256,
        Code::VEX_Vmulps_ymm_ymm_ymmm256,
        Code::VEX_Vdivps_ymm_ymm_ymmm256,
        Code::VEX_Vminps_ymm_ymm_ymmm256,
        Code::VEX_Vmaxps_ymm_ymm_ymmm256,
        Code::VEX_Vfmadd231ps_ymm_ymm_ymmm256,
        Code::VEX_Vfmadd213ps_ymm_ymm_ymmm256,
        Code::VEX_Vpand_ymm_ymm_ymmm256,
        Code::VEX_Vpor_ymm_ymm_ymmm256,
        Code::VEX_Vpxor_ymm_ymm_ymmm256,
        Code::VEX_Vpaddd_ymm_ymm_ymmm256,
        Code::VEX_Vpsubd_ymm_ymm_ymmm256,
        Code::VEX_Vpmulld_ymm_ymm_ymmm256,
        Code::VEX_Vpminsd_ymm_ymm_ymmm256,
        Code::VEX_Vpmaxsd_ymm_ymm_ymmm256,
        Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256,
        Code::VEX_Vpcmpgtd_ymm_ymm_ymmm256,
        Code::VEX_Vpunpckldq_ymm_ymm_ymmm256,
        Code::VEX_Vpunpckhdq_ymm_ymm_ymmm256,
        Code::VEX_Vpunpcklqdq_ymm_ymm_ymmm256,
        Code::VEX_Vpunpckhqdq_ymm_ymm_ymmm256,
        Code::VEX_Vpshufb_ymm_ymm_ymmm256,
    ] {
        check(Instruction::with3(code, FIRST, SECOND, THIRD));
    }
    let blend = Code::VEX_Vblendvps_ymm_ymm_ymmm256_ymm;
    check(Instruction::with4(blend, FIRST, SECOND, THIRD, FIRST));
}

/// Half vectors of AVX-512, as all halves of lanes are alike.
#[test]
fn products_of_pairs() {
    if Features::detect().is_none_or(|features| !features.pairs) {
        return;
    }
    let code = Code::EVEX_Vdpbf16ps_ymm_k1z_ymm_ymmm256b32;
    check(Instruction::with3(code, FIRST, SECOND, THIRD));
}

#[test]
fn instructions_of_two_vectors() {
    if Features::detect().is_none() {
        return;
    }
    for code in [
        Code::VEX_Vsqrtps_ymm_ymmm256,
        Code::VEX_Vcvttps2dq_ymm_ymmm256,
        Code::VEX_Vcvtdq2ps_ymm_ymmm256,
    ] {
        check(Instruction::with2(code, FIRST, SECOND));
    }
    for code in [
        Code::VEX_Vpmovzxbd_ymm_xmmm64,
        Code::VEX_Vpmovzxwd_ymm_xmmm128,
        Code::VEX_Vbroadcastss_ymm_xmm,
        Code::VEX_Vpbroadcastw_ymm_xmmm16,
    ] {
        check(Instruction::with2(code, FIRST, Register::XMM2));
    }
    for (code, numbers) in [
        (Code::VEX_Vroundps_ymm_ymmm256_imm8, 0..12),
        (Code::VEX_Vpshufd_ymm_ymmm256_imm8, 0..256),
        (Code::VEX_Vpslld_ymm_ymm_imm8, 0..40),
        (Code::VEX_Vpsrld_ymm_ymm_imm8, 0..40),
        (Code::VEX_Vpsrad_ymm_ymm_imm8, 0..40),
    ] {
        for number in numbers {
            check(Instruction::with3(code, FIRST, SECOND, number));
        }
    }
}

#[test]
fn comparisons_and_parts() {
    if Features::detect().is_none() {
        return;
    }
    for predicate in 0..32 {
        let code = Code::VEX_Vcmpps_ymm_ymm_ymmm256_imm8;
        check(Instruction::with4(code, FIRST, SECOND, THIRD, predicate));
    }
    for order in 0..256 {
        let code = Code::VEX_Vshufps_ymm_ymm_ymmm256_imm8;
        check(Instruction::with4(code, FIRST, SECOND, THIRD, order));
        let code = Code::VEX_Vperm2f128_ymm_ymm_ymmm256_imm8;
        check(Instruction::with4(code, FIRST, SECOND, THIRD, order));
    }
    for number in 0..3 {
        let insert = Code::VEX_Vinsertf128_ymm_ymm_xmmm128_imm8;
        check(Instruction::with4(
            insert,
            FIRST,
            SECOND,
            Register::XMM3,
            number,
        ));
        let extract = Code::VEX_Vextractf128_xmmm128_ymm_imm8;
        check(Instruction::with3(extract, Register::XMM1, SECOND, number));
    }
}
