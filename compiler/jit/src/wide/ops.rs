//! The vector instructions that lowering chooses from, and their encodings.

use iced_x86::Code;

use super::machine::Width;

/// What an instruction can do with memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// VEX codes for 128 and 256 bits, then EVEX codes for 128, 256 and 512; `INVALID` where there is none.
    codes: [Code; 5],
    /// The operand that may be memory as wide as the vector.
    pub(super) memory_slot: Option<usize>,
    /// Whether that operand may be one element for every lane (EVEX only).
    pub(super) broadcasts: bool,
}

impl Shape {
    /// The code without EVEX, if there is one.
    pub(super) fn vex(&self, width: Width) -> Option<Code> {
        let code = match width {
            Width::Z => Code::INVALID,
            narrow => self.codes[narrow as usize],
        };
        (code != Code::INVALID).then_some(code)
    }

    /// The EVEX code, if there is one.
    pub(super) fn evex(&self, width: Width) -> Option<Code> {
        let code = self.codes[2 + width as usize];
        (code != Code::INVALID).then_some(code)
    }
}

macro_rules! vector_ops {
    ($($name:ident [$($code:ident),* $(,)?] $slot:expr, $broadcasts:expr;)*) => {
        /// A vector instruction of any width.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum VectorOp { $($name),* }

        impl VectorOp {
            /// Its encodings.
            pub(super) fn shape(self) -> &'static Shape {
                match self {
                    $(VectorOp::$name => &Shape {
                        codes: [$(Code::$code),*],
                        memory_slot: $slot,
                        broadcasts: $broadcasts,
                    },)*
                }
            }
        }
    };
}

vector_ops! {
    Add [VEX_Vaddps_xmm_xmm_xmmm128, VEX_Vaddps_ymm_ymm_ymmm256, EVEX_Vaddps_xmm_k1z_xmm_xmmm128b32, EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32, EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er] Some(2), true;
    Sub [VEX_Vsubps_xmm_xmm_xmmm128, VEX_Vsubps_ymm_ymm_ymmm256, EVEX_Vsubps_xmm_k1z_xmm_xmmm128b32, EVEX_Vsubps_ymm_k1z_ymm_ymmm256b32, EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er] Some(2), true;
    Mul [VEX_Vmulps_xmm_xmm_xmmm128, VEX_Vmulps_ymm_ymm_ymmm256, EVEX_Vmulps_xmm_k1z_xmm_xmmm128b32, EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32, EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er] Some(2), true;
    Div [VEX_Vdivps_xmm_xmm_xmmm128, VEX_Vdivps_ymm_ymm_ymmm256, EVEX_Vdivps_xmm_k1z_xmm_xmmm128b32, EVEX_Vdivps_ymm_k1z_ymm_ymmm256b32, EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er] Some(2), true;
    Min [VEX_Vminps_xmm_xmm_xmmm128, VEX_Vminps_ymm_ymm_ymmm256, EVEX_Vminps_xmm_k1z_xmm_xmmm128b32, EVEX_Vminps_ymm_k1z_ymm_ymmm256b32, EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae] Some(2), true;
    Max [VEX_Vmaxps_xmm_xmm_xmmm128, VEX_Vmaxps_ymm_ymm_ymmm256, EVEX_Vmaxps_xmm_k1z_xmm_xmmm128b32, EVEX_Vmaxps_ymm_k1z_ymm_ymmm256b32, EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae] Some(2), true;
    And [VEX_Vpand_xmm_xmm_xmmm128, VEX_Vpand_ymm_ymm_ymmm256, EVEX_Vpandd_xmm_k1z_xmm_xmmm128b32, EVEX_Vpandd_ymm_k1z_ymm_ymmm256b32, EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    Or [VEX_Vpor_xmm_xmm_xmmm128, VEX_Vpor_ymm_ymm_ymmm256, EVEX_Vpord_xmm_k1z_xmm_xmmm128b32, EVEX_Vpord_ymm_k1z_ymm_ymmm256b32, EVEX_Vpord_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    Xor [VEX_Vpxor_xmm_xmm_xmmm128, VEX_Vpxor_ymm_ymm_ymmm256, EVEX_Vpxord_xmm_k1z_xmm_xmmm128b32, EVEX_Vpxord_ymm_k1z_ymm_ymmm256b32, EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    IntAdd [VEX_Vpaddd_xmm_xmm_xmmm128, VEX_Vpaddd_ymm_ymm_ymmm256, EVEX_Vpaddd_xmm_k1z_xmm_xmmm128b32, EVEX_Vpaddd_ymm_k1z_ymm_ymmm256b32, EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    IntSub [VEX_Vpsubd_xmm_xmm_xmmm128, VEX_Vpsubd_ymm_ymm_ymmm256, EVEX_Vpsubd_xmm_k1z_xmm_xmmm128b32, EVEX_Vpsubd_ymm_k1z_ymm_ymmm256b32, EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    IntMul [VEX_Vpmulld_xmm_xmm_xmmm128, VEX_Vpmulld_ymm_ymm_ymmm256, EVEX_Vpmulld_xmm_k1z_xmm_xmmm128b32, EVEX_Vpmulld_ymm_k1z_ymm_ymmm256b32, EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    IntMin [VEX_Vpminsd_xmm_xmm_xmmm128, VEX_Vpminsd_ymm_ymm_ymmm256, EVEX_Vpminsd_xmm_k1z_xmm_xmmm128b32, EVEX_Vpminsd_ymm_k1z_ymm_ymmm256b32, EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    IntMax [VEX_Vpmaxsd_xmm_xmm_xmmm128, VEX_Vpmaxsd_ymm_ymm_ymmm256, EVEX_Vpmaxsd_xmm_k1z_xmm_xmmm128b32, EVEX_Vpmaxsd_ymm_k1z_ymm_ymmm256b32, EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    UnpackLow [VEX_Vpunpckldq_xmm_xmm_xmmm128, VEX_Vpunpckldq_ymm_ymm_ymmm256, EVEX_Vpunpckldq_xmm_k1z_xmm_xmmm128b32, EVEX_Vpunpckldq_ymm_k1z_ymm_ymmm256b32, EVEX_Vpunpckldq_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    UnpackHigh [VEX_Vpunpckhdq_xmm_xmm_xmmm128, VEX_Vpunpckhdq_ymm_ymm_ymmm256, EVEX_Vpunpckhdq_xmm_k1z_xmm_xmmm128b32, EVEX_Vpunpckhdq_ymm_k1z_ymm_ymmm256b32, EVEX_Vpunpckhdq_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    UnpackHighPairs [VEX_Vpunpckhqdq_xmm_xmm_xmmm128, VEX_Vpunpckhqdq_ymm_ymm_ymmm256, EVEX_Vpunpckhqdq_xmm_k1z_xmm_xmmm128b64, EVEX_Vpunpckhqdq_ymm_k1z_ymm_ymmm256b64, EVEX_Vpunpckhqdq_zmm_k1z_zmm_zmmm512b64] Some(2), false;
    UnpackLowPairs [VEX_Vpunpcklqdq_xmm_xmm_xmmm128, VEX_Vpunpcklqdq_ymm_ymm_ymmm256, EVEX_Vpunpcklqdq_xmm_k1z_xmm_xmmm128b64, EVEX_Vpunpcklqdq_ymm_k1z_ymm_ymmm256b64, EVEX_Vpunpcklqdq_zmm_k1z_zmm_zmmm512b64] Some(2), false;
    ShuffleBytes [VEX_Vpshufb_xmm_xmm_xmmm128, VEX_Vpshufb_ymm_ymm_ymmm256, EVEX_Vpshufb_xmm_k1z_xmm_xmmm128, EVEX_Vpshufb_ymm_k1z_ymm_ymmm256, EVEX_Vpshufb_zmm_k1z_zmm_zmmm512] Some(2), false;
    Fma231 [VEX_Vfmadd231ps_xmm_xmm_xmmm128, VEX_Vfmadd231ps_ymm_ymm_ymmm256, EVEX_Vfmadd231ps_xmm_k1z_xmm_xmmm128b32, EVEX_Vfmadd231ps_ymm_k1z_ymm_ymmm256b32, EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er] Some(2), true;
    Fma213 [VEX_Vfmadd213ps_xmm_xmm_xmmm128, VEX_Vfmadd213ps_ymm_ymm_ymmm256, EVEX_Vfmadd213ps_xmm_k1z_xmm_xmmm128b32, EVEX_Vfmadd213ps_ymm_k1z_ymm_ymmm256b32, EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er] Some(2), true;
    DotPairs [INVALID, INVALID, EVEX_Vdpbf16ps_xmm_k1z_xmm_xmmm128b32, EVEX_Vdpbf16ps_ymm_k1z_ymm_ymmm256b32, EVEX_Vdpbf16ps_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    EqualVector [VEX_Vpcmpeqd_xmm_xmm_xmmm128, VEX_Vpcmpeqd_ymm_ymm_ymmm256, INVALID, INVALID, INVALID] Some(2), false;
    GreaterVector [VEX_Vpcmpgtd_xmm_xmm_xmmm128, VEX_Vpcmpgtd_ymm_ymm_ymmm256, INVALID, INVALID, INVALID] Some(2), false;
    CompareVector [VEX_Vcmpps_xmm_xmm_xmmm128_imm8, VEX_Vcmpps_ymm_ymm_ymmm256_imm8, INVALID, INVALID, INVALID] Some(2), false;
    CompareMask [INVALID, INVALID, EVEX_Vcmpps_kr_k1_xmm_xmmm128b32_imm8, EVEX_Vcmpps_kr_k1_ymm_ymmm256b32_imm8, EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae] Some(2), true;
    IntCompareMask [INVALID, INVALID, EVEX_Vpcmpd_kr_k1_xmm_xmmm128b32_imm8, EVEX_Vpcmpd_kr_k1_ymm_ymmm256b32_imm8, EVEX_Vpcmpd_kr_k1_zmm_zmmm512b32_imm8] Some(2), true;
    TestMask [INVALID, INVALID, EVEX_Vptestmd_kr_k1_xmm_xmmm128b32, EVEX_Vptestmd_kr_k1_ymm_ymmm256b32, EVEX_Vptestmd_kr_k1_zmm_zmmm512b32] Some(2), true;
    BlendVector [VEX_Vblendvps_xmm_xmm_xmmm128_xmm, VEX_Vblendvps_ymm_ymm_ymmm256_ymm, INVALID, INVALID, INVALID] Some(2), false;
    BlendMask [INVALID, INVALID, EVEX_Vblendmps_xmm_k1z_xmm_xmmm128b32, EVEX_Vblendmps_ymm_k1z_ymm_ymmm256b32, EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32] Some(2), true;
    Sqrt [VEX_Vsqrtps_xmm_xmmm128, VEX_Vsqrtps_ymm_ymmm256, EVEX_Vsqrtps_xmm_k1z_xmmm128b32, EVEX_Vsqrtps_ymm_k1z_ymmm256b32, EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er] Some(1), true;
    ToInt [VEX_Vcvttps2dq_xmm_xmmm128, VEX_Vcvttps2dq_ymm_ymmm256, EVEX_Vcvttps2dq_xmm_k1z_xmmm128b32, EVEX_Vcvttps2dq_ymm_k1z_ymmm256b32, EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae] Some(1), true;
    ToFloat [VEX_Vcvtdq2ps_xmm_xmmm128, VEX_Vcvtdq2ps_ymm_ymmm256, EVEX_Vcvtdq2ps_xmm_k1z_xmmm128b32, EVEX_Vcvtdq2ps_ymm_k1z_ymmm256b32, EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er] Some(1), true;
    Round [VEX_Vroundps_xmm_xmmm128_imm8, VEX_Vroundps_ymm_ymmm256_imm8, EVEX_Vrndscaleps_xmm_k1z_xmmm128b32_imm8, EVEX_Vrndscaleps_ymm_k1z_ymmm256b32_imm8, EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae] Some(1), true;
    Shuffle [VEX_Vpshufd_xmm_xmmm128_imm8, VEX_Vpshufd_ymm_ymmm256_imm8, EVEX_Vpshufd_xmm_k1z_xmmm128b32_imm8, EVEX_Vpshufd_ymm_k1z_ymmm256b32_imm8, EVEX_Vpshufd_zmm_k1z_zmmm512b32_imm8] Some(1), true;
    ShiftLeft [VEX_Vpslld_xmm_xmm_imm8, VEX_Vpslld_ymm_ymm_imm8, EVEX_Vpslld_xmm_k1z_xmmm128b32_imm8, EVEX_Vpslld_ymm_k1z_ymmm256b32_imm8, EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8] None, false;
    ShiftRight [VEX_Vpsrld_xmm_xmm_imm8, VEX_Vpsrld_ymm_ymm_imm8, EVEX_Vpsrld_xmm_k1z_xmmm128b32_imm8, EVEX_Vpsrld_ymm_k1z_ymmm256b32_imm8, EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8] None, false;
    ShiftRightSigned [VEX_Vpsrad_xmm_xmm_imm8, VEX_Vpsrad_ymm_ymm_imm8, EVEX_Vpsrad_xmm_k1z_xmmm128b32_imm8, EVEX_Vpsrad_ymm_k1z_ymmm256b32_imm8, EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8] None, false;
    Move [VEX_Vmovups_xmm_xmmm128, VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_xmm_k1z_xmmm128, EVEX_Vmovups_ymm_k1z_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512] Some(1), false;
    MoveMasked [INVALID, INVALID, EVEX_Vmovdqu32_xmm_k1z_xmmm128, EVEX_Vmovdqu32_ymm_k1z_ymmm256, EVEX_Vmovdqu32_zmm_k1z_zmmm512] Some(1), false;
    Store [VEX_Vmovups_xmmm128_xmm, VEX_Vmovups_ymmm256_ymm, EVEX_Vmovups_xmmm128_k1z_xmm, EVEX_Vmovups_ymmm256_k1z_ymm, EVEX_Vmovups_zmmm512_k1z_zmm] None, false;
    LoadOne [VEX_Vmovss_xmm_m32, INVALID, EVEX_Vmovss_xmm_k1z_m32, INVALID, INVALID] None, false;
    StoreOne [VEX_Vmovss_m32_xmm, INVALID, EVEX_Vmovss_m32_k1_xmm, INVALID, INVALID] None, false;
    LoadTwo [VEX_Vmovq_xmm_xmmm64, INVALID, EVEX_Vmovq_xmm_xmmm64, INVALID, INVALID] None, false;
    StoreTwo [VEX_Vmovq_xmmm64_xmm, INVALID, EVEX_Vmovq_xmmm64_xmm, INVALID, INVALID] None, false;
    BroadcastMemory [VEX_Vbroadcastss_xmm_m32, VEX_Vbroadcastss_ymm_m32, EVEX_Vbroadcastss_xmm_k1z_xmmm32, EVEX_Vbroadcastss_ymm_k1z_xmmm32, EVEX_Vbroadcastss_zmm_k1z_xmmm32] None, false;
    Broadcast [VEX_Vbroadcastss_xmm_xmm, VEX_Vbroadcastss_ymm_xmm, EVEX_Vbroadcastss_xmm_k1z_xmmm32, EVEX_Vbroadcastss_ymm_k1z_xmmm32, EVEX_Vbroadcastss_zmm_k1z_xmmm32] None, false;
    BroadcastHalf [VEX_Vpbroadcastw_xmm_xmmm16, VEX_Vpbroadcastw_ymm_xmmm16, EVEX_Vpbroadcastw_xmm_k1z_xmmm16, EVEX_Vpbroadcastw_ymm_k1z_xmmm16, EVEX_Vpbroadcastw_zmm_k1z_xmmm16] None, false;
    FromGeneral [VEX_Vmovd_xmm_rm32, INVALID, EVEX_Vmovd_xmm_rm32, INVALID, INVALID] Some(1), false;
    ToGeneral [VEX_Vmovd_rm32_xmm, INVALID, EVEX_Vmovd_rm32_xmm, INVALID, INVALID] None, false;
    WidenBytes [VEX_Vpmovzxbd_xmm_xmmm32, VEX_Vpmovzxbd_ymm_xmmm64, EVEX_Vpmovzxbd_xmm_k1z_xmmm32, EVEX_Vpmovzxbd_ymm_k1z_xmmm64, EVEX_Vpmovzxbd_zmm_k1z_xmmm128] Some(1), false;
    WidenHalves [VEX_Vpmovzxwd_xmm_xmmm64, VEX_Vpmovzxwd_ymm_xmmm128, EVEX_Vpmovzxwd_xmm_k1z_xmmm64, EVEX_Vpmovzxwd_ymm_k1z_xmmm128, EVEX_Vpmovzxwd_zmm_k1z_ymmm256] Some(1), false;
    NarrowHalves [INVALID, INVALID, EVEX_Vpmovdw_xmmm64_k1z_xmm, EVEX_Vpmovdw_xmmm128_k1z_ymm, EVEX_Vpmovdw_ymmm256_k1z_zmm] None, false;
    NarrowBytes [INVALID, INVALID, EVEX_Vpmovdb_xmmm32_k1z_xmm, EVEX_Vpmovdb_xmmm64_k1z_ymm, EVEX_Vpmovdb_xmmm128_k1z_zmm] None, false;
    ShuffleTwo [VEX_Vshufps_xmm_xmm_xmmm128_imm8, VEX_Vshufps_ymm_ymm_ymmm256_imm8, EVEX_Vshufps_xmm_k1z_xmm_xmmm128b32_imm8, EVEX_Vshufps_ymm_k1z_ymm_ymmm256b32_imm8, EVEX_Vshufps_zmm_k1z_zmm_zmmm512b32_imm8] Some(2), false;
    ShuffleQuarters [INVALID, INVALID, INVALID, EVEX_Vshuff32x4_ymm_k1z_ymm_ymmm256b32_imm8, EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8] Some(2), false;
    JoinQuarters [INVALID, VEX_Vperm2f128_ymm_ymm_ymmm256_imm8, INVALID, INVALID, INVALID] Some(2), false;
    RepeatQuarter [INVALID, VEX_Vbroadcastf128_ymm_m128, INVALID, EVEX_Vbroadcastf32x4_ymm_k1z_m128, EVEX_Vbroadcastf32x4_zmm_k1z_m128] Some(1), false;
    RepeatHalf [INVALID, INVALID, INVALID, INVALID, EVEX_Vbroadcastf64x4_zmm_k1z_m256] Some(1), false;
    ExtractQuarter [INVALID, VEX_Vextractf128_xmmm128_ymm_imm8, INVALID, EVEX_Vextractf32x4_xmmm128_k1z_ymm_imm8, EVEX_Vextractf32x4_xmmm128_k1z_zmm_imm8] None, false;
    ExtractHalf [INVALID, INVALID, INVALID, INVALID, EVEX_Vextractf64x4_ymmm256_k1z_zmm_imm8] None, false;
    InsertQuarter [INVALID, VEX_Vinsertf128_ymm_ymm_xmmm128_imm8, INVALID, EVEX_Vinsertf32x4_ymm_k1z_ymm_xmmm128_imm8, EVEX_Vinsertf32x4_zmm_k1z_zmm_xmmm128_imm8] Some(2), false;
    InsertHalf [INVALID, INVALID, INVALID, INVALID, EVEX_Vinsertf64x4_zmm_k1z_zmm_ymmm256_imm8] Some(2), false;
    ExtractWord [VEX_Vpextrd_rm32_xmm_imm8, INVALID, EVEX_Vpextrd_rm32_xmm_imm8, INVALID, INVALID] None, false;
    ExtractByte [VEX_Vpextrb_r32m8_xmm_imm8, INVALID, EVEX_Vpextrb_r32m8_xmm_imm8, INVALID, INVALID] None, false;
    ExtractTwoBytes [VEX_Vpextrw_r32m16_xmm_imm8, INVALID, EVEX_Vpextrw_r32m16_xmm_imm8, INVALID, INVALID] None, false;
    InsertWord [VEX_Vpinsrd_xmm_xmm_rm32_imm8, INVALID, EVEX_Vpinsrd_xmm_xmm_rm32_imm8, INVALID, INVALID] Some(2), false;
    InsertByte [VEX_Vpinsrb_xmm_xmm_r32m8_imm8, INVALID, EVEX_Vpinsrb_xmm_xmm_r32m8_imm8, INVALID, INVALID] Some(2), false;
    MaskToVector [INVALID, INVALID, EVEX_Vpmovm2d_xmm_kr, EVEX_Vpmovm2d_ymm_kr, EVEX_Vpmovm2d_zmm_kr] None, false;
    VectorToMask [INVALID, INVALID, EVEX_Vpmovd2m_kr_xmm, EVEX_Vpmovd2m_kr_ymm, EVEX_Vpmovd2m_kr_zmm] None, false;
    MaskAnd [VEX_Kandw_kr_kr_kr, INVALID, INVALID, INVALID, INVALID] None, false;
    MaskAndNot [VEX_Kandnw_kr_kr_kr, INVALID, INVALID, INVALID, INVALID] None, false;
    MaskOr [VEX_Korw_kr_kr_kr, INVALID, INVALID, INVALID, INVALID] None, false;
    MaskXor [VEX_Kxorw_kr_kr_kr, INVALID, INVALID, INVALID, INVALID] None, false;
    MaskNot [VEX_Knotw_kr_kr, INVALID, INVALID, INVALID, INVALID] None, false;
    MaskShiftRight [VEX_Kshiftrw_kr_kr_imm8, INVALID, INVALID, INVALID, INVALID] None, false;
    MaskMove [VEX_Kmovw_kr_km16, INVALID, INVALID, INVALID, INVALID] Some(1), false;
    MaskStore [VEX_Kmovw_m16_kr, INVALID, INVALID, INVALID, INVALID] None, false;
}
