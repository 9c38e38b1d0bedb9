//! What the statics that every optimizer takes may be.

/// Numbers that a static may be, and how a message says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// Whether a number lies in it.
    pub holds: fn(f64) -> bool,
    /// "is above 0"
    pub wanted: &'static str,
}

const ABOVE_0: Range = Range {
    holds: |number| number > 0.0,
    wanted: "is a number above 0",
};

const SHARE: Range = Range {
    holds: |number| number > 0.0 && number < 1.0,
    wanted: "is a number above 0 and below 1",
};

const COUNT: Range = Range {
    holds: |number| number >= 1.0 && number.fract() == 0.0 && number <= MOST_STEPS,
    wanted: "is a whole number of steps, at least 1",
};

/// More steps than these f32 does not count.
const MOST_STEPS: f64 = 16_777_216.0;

/// The range of a static that is a number and that every optimizer takes.
pub(super) fn range_of(name: &str) -> Range {
    match name {
        "ema" => SHARE,
        "accumulate" => COUNT,
        _ => ABOVE_0,
    }
}
