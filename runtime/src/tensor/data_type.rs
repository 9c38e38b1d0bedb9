//! Element types.

use std::fmt;

/// The type of a tensor's elements as they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataType {
    /// IEEE 754 binary32.
    F32,
    /// The upper half of a binary32.
    Bf16,
    /// 32-bit two's complement.
    I32,
    /// 64-bit two's complement.
    I64,
    /// An unsigned byte.
    U8,
    /// A byte that is 0 or 1.
    Bool,
}

impl DataType {
    /// The size of one element in bytes.
    pub fn bytes(self) -> u64 {
        match self {
            DataType::I64 => 8,
            DataType::F32 | DataType::I32 => 4,
            DataType::Bf16 => 2,
            DataType::U8 | DataType::Bool => 1,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            DataType::F32 => "f32",
            DataType::Bf16 => "bf16",
            DataType::I32 => "i32",
            DataType::I64 => "i64",
            DataType::U8 => "u8",
            DataType::Bool => "bool",
        })
    }
}
