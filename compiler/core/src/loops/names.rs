//! The names of operations in text, and the list of each kind.

use super::{Access, Comparison, Element, IntOp, LoopKind, MathOp, VectorBinary, VectorUnary};

macro_rules! names {
    ($kind:ident { $($variant:ident $name:literal),* $(,)? }) => {
        impl $kind {
            /// Every one, in the order of the table.
            pub const ALL: &[$kind] = &[$($kind::$variant),*];

            /// Its name in text.
            pub fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),* }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<$kind> {
                match name { $($name => Some($kind::$variant),)* _ => None }
            }
        }
    };
}

names!(IntOp {
    Add "add", Sub "sub", Mul "mul", Min "min", Max "max", DivFloor "div_floor", ModFloor "mod_floor",
    Less "less", LessEqual "less_equal", Equal "equal", And "and",
});
names!(VectorUnary {
    Neg "neg", Abs "abs", Sqrt "sqrt", Floor "floor", Ceil "ceil", Round "round", Not "not", ToInt "to_int",
    ToFloat "to_float", BitsToFloat "bits_to_float", FloatToBits "float_to_bits", MaskToInt "mask_to_int",
    IntToMask "int_to_mask",
});
names!(VectorBinary {
    Add "add", Sub "sub", Mul "mul", Div "div", MinSelect "min_select", MaxSelect "max_select",
    MinNan "min_nan", MaxNan "max_nan", IntAdd "int_add", IntSub "int_sub", IntMul "int_mul", IntAnd "int_and",
    IntOr "int_or", IntXor "int_xor", IntMin "int_min", IntMax "int_max", MaskAnd "mask_and", MaskOr "mask_or",
    MaskXor "mask_xor",
});
names!(Comparison { Eq "eq", Ne "ne", Lt "lt", Le "le", Gt "gt", Ge "ge" });
names!(MathOp {
    Exp "exp", Log "log", Tanh "tanh", Erf "erf", Sin "sin", Cos "cos", Pow "pow", Rem "rem", IntRem "int_rem",
    IntDiv "int_div", Threefry0 "threefry_0", Threefry1 "threefry_1",
});
names!(LoopKind { Domain "domain", Reduction "reduction" });
names!(Element { F32 "f32", I32 "i32", U8 "u8", Bf16 "bf16", Bool "bool" });
names!(Access { Read "read", Write "write", ReadWrite "read_write", WriteRead "write_read" });
