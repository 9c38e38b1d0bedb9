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
    /// The wide emitter with AVX-512 and AVX512-BF16.
    Avx512Bf16,
    /// The code of [`Backend::Avx2`], run by a [processor](crate::processor) in software.
    Avx2Interpreted,
    /// The code of [`Backend::Avx512`], run by a [processor](crate::processor) in software.
    Avx512Interpreted,
    /// The code of [`Backend::Avx512Bf16`], run by a [processor](crate::processor) in software.
    Avx512Bf16Interpreted,
}

impl Backend {
    /// The best of this machine. [`Backend::Avx512Bf16`] is never it: where it could be measured, two products by one
    /// instruction take as long as four multiply-adds.
    pub fn host() -> Backend {
        match Features::detect() {
            Some(Features { avx512: true, .. }) => Backend::Avx512,
            Some(Features { avx512: false, .. }) => Backend::Avx2,
            None => Backend::Cranelift,
        }
    }

    /// What this machine can run, the best last.
    pub fn available() -> Vec<Backend> {
        let Some(features) = Features::detect() else {
            return vec![Backend::Cranelift];
        };
        let mut available = vec![
            Backend::Avx512Bf16Interpreted,
            Backend::Avx512Interpreted,
            Backend::Avx2Interpreted,
            Backend::Cranelift,
            Backend::Avx2,
        ];
        if features.pairs {
            available.push(Backend::Avx512Bf16);
        }
        if features.avx512 {
            available.push(Backend::Avx512);
        }
        available
    }

    /// Every one, with its name on the command line.
    pub const NAMED: [(&'static str, Backend); 7] = [
        ("vector128", Backend::Cranelift),
        ("avx2", Backend::Avx2),
        ("avx512", Backend::Avx512),
        ("avx512bf16", Backend::Avx512Bf16),
        ("avx2-interpreted", Backend::Avx2Interpreted),
        ("avx512-interpreted", Backend::Avx512Interpreted),
        ("avx512bf16-interpreted", Backend::Avx512Bf16Interpreted),
    ];

    /// Whether this machine can run its code.
    pub fn is_available(self) -> bool {
        Backend::available().contains(&self)
    }

    /// The features of a wide backend.
    pub(crate) fn features(self) -> Option<Features> {
        match self {
            Backend::Cranelift => None,
            Backend::Avx2 | Backend::Avx2Interpreted => Some(Features::AVX2),
            Backend::Avx512 | Backend::Avx512Interpreted => Some(Features::AVX512),
            Backend::Avx512Bf16 | Backend::Avx512Bf16Interpreted => Some(Features::AVX512_BF16),
        }
    }

    /// Whether a processor in software runs its code.
    pub fn is_interpreted(self) -> bool {
        matches!(
            self,
            Backend::Avx2Interpreted | Backend::Avx512Interpreted | Backend::Avx512Bf16Interpreted
        )
    }
}
