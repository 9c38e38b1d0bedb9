//! What the processor can do.

/// The instruction sets that code may use; always AVX2, FMA and BMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Features {
    /// AVX-512 F, VL, DQ and BW: 32 registers, mask registers, 512-bit vectors.
    pub avx512: bool,
    /// AVX512-BF16 too: products of pairs of bf16 numbers.
    pub pairs: bool,
}

impl Features {
    /// AVX2 and FMA only.
    pub const AVX2: Features = Features {
        avx512: false,
        pairs: false,
    };
    /// AVX-512 F, VL, DQ and BW too.
    pub const AVX512: Features = Features {
        avx512: true,
        pairs: false,
    };
    /// AVX-512 F, VL, DQ, BW and AVX512-BF16 too.
    pub const AVX512_BF16: Features = Features {
        avx512: true,
        pairs: true,
    };

    /// Those of this processor; `None` where it lacks AVX2 or FMA.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Option<Features> {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        let pairs = avx512 && is_x86_feature_detected!("avx512bf16");
        avx2.then_some(Features { avx512, pairs })
    }

    /// Those of this processor; `None` where it lacks AVX2 or FMA.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Option<Features> {
        None
    }
}
