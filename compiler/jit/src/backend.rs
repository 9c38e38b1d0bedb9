//! Which emitter makes a kernel's code.

use crate::wide::Features;

/// An emitter, and what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Cranelift: every supported machine, vectors of 128 bits.
    Cranelift,
    /// The wide emitter with AVX2 and FMA.
    Avx2,
    /// The wide emitter with AVX-512.
    Avx512,
}

impl Backend {
    /// The best of this machine.
    pub fn host() -> Backend {
        match Features::detect() {
            Some(Features { avx512: true }) => Backend::Avx512,
            Some(Features { avx512: false }) => Backend::Avx2,
            None => Backend::Cranelift,
        }
    }

    /// What this machine can run, the best last.
    pub fn available() -> Vec<Backend> {
        match Backend::host() {
            Backend::Cranelift => vec![Backend::Cranelift],
            Backend::Avx2 => vec![Backend::Cranelift, Backend::Avx2],
            Backend::Avx512 => vec![Backend::Cranelift, Backend::Avx2, Backend::Avx512],
        }
    }

    /// Every one, with its name on the command line.
    pub const NAMED: [(&'static str, Backend); 3] = [
        ("vector128", Backend::Cranelift),
        ("avx2", Backend::Avx2),
        ("avx512", Backend::Avx512),
    ];

    /// Whether this machine can run its code.
    pub fn is_available(self) -> bool {
        Backend::available().contains(&self)
    }

    /// The features of a wide backend.
    pub(crate) fn features(self) -> Option<Features> {
        match self {
            Backend::Cranelift => None,
            Backend::Avx2 => Some(Features::AVX2),
            Backend::Avx512 => Some(Features::AVX512),
        }
    }
}
