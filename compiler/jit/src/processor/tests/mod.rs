//! Rules of the processor that code of the wide emitter, which keeps to them, does not show.

mod native;

use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};
use region::Protection;

use super::{Fault, Interpreted, Stopped};
use crate::wide::MachineCode;

type Encoded = Result<Instruction, iced_x86::IcedError>;

/// Code of these instructions and a return.
fn code(instructions: &[Encoded]) -> MachineCode {
    let mut encoder = Encoder::new(64);
    let mut at = 0;
    let end = Ok(Instruction::with(Code::Retnq));
    for instruction in instructions.iter().chain([&end]) {
        let instruction = instruction.as_ref().expect("operands fit");
        at += encoder.encode(instruction, at).expect("has bytes") as u64;
    }
    let bytes = encoder.take_buffer();
    let code_bytes = bytes.len();
    MachineCode {
        bytes,
        code_bytes,
        spills: Vec::new(),
    }
}

/// Runs instructions with the addresses of these arguments in rdi's block.
fn run(instructions: &[Encoded], arguments: &[u64]) -> Result<(), Stopped> {
    let code = Interpreted::new(&code(instructions)).expect("all are known");
    // SAFETY: each test gives the addresses of memory that its code may access.
    unsafe { code.run(arguments.as_ptr()) }
}

fn fault(instructions: &[Encoded], arguments: &[u64]) -> (Fault, String) {
    let stopped = run(instructions, arguments).expect_err("it stops");
    (stopped.fault, stopped.instruction)
}

fn at(base: Register) -> MemoryOperand {
    MemoryOperand::with_base(base)
}

/// Loads argument `number` into a register.
fn argument(number: i64, to: Register) -> Encoded {
    let place = MemoryOperand::with_base_displ(Register::RDI, number * 8);
    Instruction::with2(Code::Mov_r64_rm64, to, place)
}

fn masked(instruction: Encoded, zeroing: bool) -> Encoded {
    let mut instruction = instruction?;
    instruction.set_op_mask(Register::K1);
    instruction.set_zeroing_masking(zeroing);
    Ok(instruction)
}

/// `k1 = word at rsi`, after which memory at rdx is what is asked about, and rcx where results go.
fn with_mask() -> Vec<Encoded> {
    vec![
        argument(0, Register::RSI),
        argument(1, Register::RDX),
        argument(2, Register::RCX),
        Instruction::with2(Code::VEX_Kmovw_kr_km16, Register::K1, at(Register::RSI)),
    ]
}

const LOAD: Code = Code::EVEX_Vmovups_zmm_k1z_zmmm512;
const STORE: Code = Code::EVEX_Vmovups_zmmm512_k1z_zmm;
const ADD: Code = Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er;

/// Eight floats at the end of a page, behind which memory ends.
struct Edge {
    allocation: region::Allocation,
}

impl Edge {
    fn new() -> Edge {
        let page = region::page::size();
        let mut allocation = region::alloc(2 * page, Protection::READ_WRITE).expect("memory");
        let base = allocation.as_mut_ptr::<u8>();
        // SAFETY: the second page is in the allocation.
        unsafe { region::protect(base.add(page), page, Protection::NONE).expect("it is ours") };
        let edge = Edge { allocation };
        for lane in 0..8 {
            // SAFETY: the eight floats lie in the first page.
            unsafe { edge.place().add(lane).write_unaligned(lane as f32 + 1.0) };
        }
        edge
    }

    fn place(&self) -> *mut f32 {
        let page = region::page::size();
        // SAFETY: within the first page.
        unsafe { self.allocation.as_ptr::<u8>().add(page - 32) as *mut f32 }
    }
}

#[test]
fn lanes_that_a_mask_leaves_out_touch_no_memory() {
    let edge = Edge::new();
    let mask = 0b1000_0001_u16;
    let mut left = [7.0_f32; 16];
    let mut list = with_mask();
    list.extend([
        masked(
            Instruction::with2(LOAD, Register::ZMM1, at(Register::RDX)),
            true,
        ),
        masked(
            Instruction::with3(ADD, Register::ZMM2, Register::ZMM1, at(Register::RDX)),
            true,
        ),
        masked(
            Instruction::with2(STORE, at(Register::RDX), Register::ZMM2),
            false,
        ),
        Instruction::with2(STORE, at(Register::RCX), Register::ZMM2),
    ]);
    let arguments = [
        &raw const mask as u64,
        edge.place() as u64,
        left.as_mut_ptr() as u64,
    ];
    run(&list, &arguments).expect("runs");
    let mut doubled = [0.0; 16];
    (doubled[0], doubled[7]) = (2.0, 16.0);
    assert_eq!(left, doubled);
    // SAFETY: eight floats, as the edge has.
    let written: [f32; 8] = unsafe { edge.place().cast::<[f32; 8]>().read_unaligned() };
    assert_eq!(written, [2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 16.0]);
}

#[test]
fn an_element_for_no_lane_is_not_read() {
    let edge = Edge::new();
    let mask = 0_u16;
    let mut left = [7.0_f32; 16];
    let mut add = Instruction::with3(ADD, Register::ZMM2, Register::ZMM2, at(Register::RDX));
    if let Ok(add) = &mut add {
        add.set_is_broadcast(true);
    }
    let mut list = with_mask();
    list.extend([
        Instruction::with2(LOAD, Register::ZMM2, at(Register::RCX)),
        masked(add, false),
        Instruction::with2(STORE, at(Register::RCX), Register::ZMM2),
    ]);
    let beyond = edge.place() as u64 + 32;
    let arguments = [&raw const mask as u64, beyond, left.as_mut_ptr() as u64];
    run(&list, &arguments).expect("runs");
    assert_eq!(left, [7.0; 16]);
}

#[test]
fn what_is_above_a_result_is_cleared() {
    let mask = 0b0101_u16;
    let given: [f32; 16] = std::array::from_fn(|lane| lane as f32);
    let mut left = [7.0_f32; 16];
    let x = Register::XMM1;
    for (add, expected) in [
        (
            Instruction::with3(Code::VEX_Vaddps_xmm_xmm_xmmm128, x, x, x),
            [0.0, 2.0, 4.0, 6.0],
        ),
        (
            masked(
                Instruction::with3(Code::EVEX_Vaddps_xmm_k1z_xmm_xmmm128b32, x, x, x),
                false,
            ),
            [0.0, 1.0, 4.0, 3.0],
        ),
    ] {
        let mut list = with_mask();
        list.extend([
            Instruction::with2(LOAD, Register::ZMM1, at(Register::RDX)),
            add,
            Instruction::with2(STORE, at(Register::RCX), Register::ZMM1),
        ]);
        let arguments = [
            &raw const mask as u64,
            given.as_ptr() as u64,
            left.as_mut_ptr() as u64,
        ];
        run(&list, &arguments).expect("runs");
        assert_eq!(left[..4], expected);
        assert_eq!(left[4..], [0.0; 12]);
    }
}

#[test]
fn aligned_moves_ask_for_aligned_addresses() {
    let data = [0_u64; 64];
    let aligned = (data.as_ptr() as u64).next_multiple_of(64);
    for (code, to) in [
        (Code::EVEX_Vmovdqa32_xmm_k1z_xmmm128, Register::XMM3),
        (Code::EVEX_Vmovdqa32_zmm_k1z_zmmm512, Register::ZMM3),
    ] {
        let list = [
            argument(0, Register::RSI),
            Instruction::with2(code, to, at(Register::RSI)),
        ];
        assert_eq!(run(&list, &[aligned]), Ok(()));
        let (fault, instruction) = fault(&list, &[aligned + 8]);
        assert_eq!(fault, Fault::Alignment);
        assert!(instruction.starts_with("vmovdqa32"), "{instruction}");
    }
}

#[test]
fn what_belongs_to_the_caller_must_be_given_back() {
    let change = Instruction::with2(Code::Mov_r64_rm64, Register::R13, Register::RDI);
    assert_eq!(fault(&[change], &[]).0, Fault::CalleeSaved("r13"));
    let push = Instruction::with1(Code::Push_r64, Register::RBX);
    assert_eq!(fault(&[push], &[]).0, Fault::Stack);
    let place = MemoryOperand::with_base_displ(Register::RSP, 8);
    let above = Instruction::with2(Code::Mov_rm64_r64, place, Register::RDI);
    assert_eq!(fault(&[above], &[]).0, Fault::Stack);
}

#[test]
fn flags_that_are_undefined_decide_nothing() {
    let of_two = |code| Instruction::with2(code, Register::RAX, Register::RCX);
    let set = || Instruction::with1(Code::Setl_rm8, Register::AL);
    let product = [of_two(Code::Imul_r64_rm64), set()];
    assert_eq!(fault(&product, &[]).0, Fault::Flags);
    let comparison = [of_two(Code::Cmp_r64_rm64), set()];
    assert_eq!(run(&comparison, &[]), Ok(()));
}

#[test]
fn what_is_not_known_is_named() {
    let unknown = [
        Instruction::with2(Code::VEX_Vrcpps_xmm_xmmm128, Register::XMM1, Register::XMM2),
        Instruction::with2(Code::Add_r32_rm32, Register::EAX, Register::ECX),
        masked(
            Instruction::with3(
                Code::EVEX_Vpunpckldq_xmm_k1z_xmm_xmmm128b32,
                Register::XMM1,
                Register::XMM2,
                Register::XMM3,
            ),
            true,
        ),
    ];
    for (instruction, name) in unknown.into_iter().zip(["vrcpps", "add", "vpunpckldq"]) {
        let error = Interpreted::new(&code(&[instruction]))
            .err()
            .expect("is not known");
        assert!(error.instruction.starts_with(name), "{error}");
        assert_eq!(error.offset, 0);
    }
}
