//! Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3").

use super::super::{Value, VectorBinary as B};
use super::lane_math::LaneMath;

const ROTATIONS: [u8; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
const ROUNDS: usize = 20;
const PARITY: i32 = 0x1bd1_1bda;

/// Both words for a key and a counter.
pub(super) fn threefry(m: &mut LaneMath, key: [Value; 2], counter: [Value; 2]) -> [Value; 2] {
    let parity = m.int(PARITY);
    let mixed = m.binary(B::IntXor, key[0], key[1]);
    let keys = [key[0], key[1], m.binary(B::IntXor, mixed, parity)];
    let mut words = [
        m.binary(B::IntAdd, counter[0], keys[0]),
        m.binary(B::IntAdd, counter[1], keys[1]),
    ];
    for round in 0..ROUNDS {
        words[0] = m.binary(B::IntAdd, words[0], words[1]);
        let turned = rotate(m, words[1], ROTATIONS[round % 8]);
        words[1] = m.binary(B::IntXor, turned, words[0]);
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            let number = m.int(injection as i32);
            let second = m.binary(B::IntAdd, keys[(injection + 1) % 3], number);
            words[0] = m.binary(B::IntAdd, words[0], keys[injection % 3]);
            words[1] = m.binary(B::IntAdd, words[1], second);
        }
    }
    words
}

fn rotate(m: &mut LaneMath, word: Value, count: u8) -> Value {
    let (up, down) = (m.shift_left(word, count), m.shift_right(word, 32 - count));
    m.binary(B::IntOr, up, down)
}
