//! Floats of other sizes, little-endian as files have them.

/// Each f64 rounded to f32.
pub(crate) fn f32_of_f64(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.as_chunks::<8>().0.iter();
    words.map(|word| f64::from_le_bytes(*word) as f32).collect()
}

/// Each f16 as f32, which has all of its values.
pub(crate) fn f32_of_f16(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.as_chunks::<2>().0.iter();
    words
        .map(|word| of_f16(u16::from_le_bytes(*word)))
        .collect()
}

fn of_f16(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    };
    sign * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let half = |bits: u16| f32_of_f16(&bits.to_le_bytes())[0];
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7C00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7E00).is_nan());
        assert_eq!(f32_of_f64(&0.1f64.to_le_bytes()), [0.1]);
    }
}
