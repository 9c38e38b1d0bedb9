//! Calls of kernels, with results too small for a normal number flushed to zero.
//!
//! A momentum that nothing feeds any more shrinks to numbers below 2^-126, and rounding keeps it there; some x86
//! processors take a hundred cycles and more for each of them. Compilers of the field flush them for the same reason (XLA's CPU back end).

use crate::program::Entry;

/// Bit 15 of MXCSR: results below the least normal number become zeros. Arguments are taken as they are.
#[cfg(all(target_arch = "x86_64", not(windows)))]
const FLUSH_TO_ZERO: u32 = 1 << 15;

/// Calls a kernel. What it computes below 2^-126 becomes zero on x86-64; elsewhere it stays.
///
/// # Safety
/// As for the kernel itself.
#[cfg(all(target_arch = "x86_64", not(windows)))]
pub(super) unsafe fn call(entry: Entry, arguments: *const u64) {
    let mut before = 0u32;
    let mut within = 0u32;
    // SAFETY: the kernel's own, by the caller. The stack is aligned for a call, as the block may push; what a System V
    // function may change is declared, and r12 and r13 it keeps. MXCSR is as before when the block ends.
    unsafe {
        std::arch::asm!(
            "stmxcsr [r12]",
            "mov ecx, [r12]",
            "or ecx, {flush}",
            "mov [r13], ecx",
            "ldmxcsr [r13]",
            "call rax",
            "ldmxcsr [r12]",
            flush = const FLUSH_TO_ZERO,
            in("rax") entry,
            in("rdi") arguments,
            in("r12") &raw mut before,
            in("r13") &raw mut within,
            clobber_abi("sysv64"),
        );
    }
}

/// Calls a kernel.
///
/// # Safety
/// As for the kernel itself.
#[cfg(not(all(target_arch = "x86_64", not(windows))))]
pub(super) unsafe fn call(entry: Entry, arguments: *const u64) {
    // SAFETY: the kernel's own, by the caller.
    unsafe { entry(arguments) };
}

#[cfg(all(test, target_arch = "x86_64", not(windows)))]
mod tests {
    use super::*;
    use std::hint::black_box;

    /// `x[0] *= x[1]`.
    unsafe extern "C" fn scale(arguments: *const u64) {
        // SAFETY: called with one slot, the address of two floats.
        unsafe {
            let x = *arguments as *mut f32;
            *x = black_box(*x) * black_box(*x.add(1));
        }
    }

    fn scaled(mut x: [f32; 2]) -> f32 {
        let arguments = [x.as_mut_ptr() as u64];
        // SAFETY: one slot, the address of two floats.
        unsafe { call(scale, arguments.as_ptr()) };
        x[0]
    }

    #[test]
    fn results_below_the_least_normal_number_are_zero_and_only_there() {
        assert_eq!(scaled([f32::MIN_POSITIVE, 0.5]).to_bits(), 0);
        assert_eq!(
            scaled([-f32::MIN_POSITIVE, 0.5]).to_bits(),
            (-0.0f32).to_bits()
        );
        assert_eq!(scaled([f32::MIN_POSITIVE, 2.0]), 2.0 * f32::MIN_POSITIVE);
        let subnormal = f32::MIN_POSITIVE / 4.0;
        assert_eq!(scaled([subnormal, 4.0]), f32::MIN_POSITIVE);
        // The caller's arithmetic keeps them.
        assert!(black_box(f32::MIN_POSITIVE) * black_box(0.5) > 0.0);
    }
}
