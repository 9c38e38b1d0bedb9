//! A function of the machine that has a processor in software run another function.

use super::code::Interpreted;

/// Machine code of a function of the System V convention that runs `code` with its argument; valid at any place while
/// `code` lives.
pub(crate) fn trampoline(code: &Interpreted) -> Vec<u8> {
    let enter: unsafe extern "C" fn(*const u64, *const Interpreted) = enter;
    let mut bytes = Vec::new();
    // mov rsi, code
    bytes.extend([0x48, 0xbe]);
    bytes.extend((&raw const *code as u64).to_le_bytes());
    // mov rax, enter
    bytes.extend([0x48, 0xb8]);
    bytes.extend((enter as usize as u64).to_le_bytes());
    // jmp rax
    bytes.extend([0xff, 0xe0]);
    bytes
}

/// Runs code. Where it stops before its end the process does too, as it would by a fault of machine code.
///
/// # Safety
/// As of a call of the code; `code` points to what lives until it returns.
unsafe extern "C" fn enter(arguments: *const u64, code: *const Interpreted) {
    // SAFETY: the caller vouches for both.
    let outcome = unsafe { (*code).run(arguments) };
    if let Err(stopped) = outcome {
        eprintln!("interpreted code stopped: {stopped}");
        std::process::abort();
    }
}
