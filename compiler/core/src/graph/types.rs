//! Element types, dimensions and tensor types.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE binary32.
    F32,
    /// The upper half of a binary32; a storage type, computed in f32.
    Bf16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer (for exchange formats).
    I64,
    /// 8-bit unsigned integer; a storage type for images.
    U8,
    /// Truth value, stored as one byte, 0 or 1.
    Bool,
}

impl DType {
    /// The name used in the language and in IR text.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::Bf16 => "bf16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// The type of that name, if there is one.
    pub fn from_name(name: &str) -> Option<DType> {
        [
            DType::F32,
            DType::Bf16,
            DType::I32,
            DType::I64,
            DType::U8,
            DType::Bool,
        ]
        .into_iter()
        .find(|dtype| dtype.name() == name)
    }

    /// Bytes of one element in memory.
    pub fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
            DType::Bf16 => 2,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// Whether gradients flow through values of this type.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::Bf16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The extent of one axis: `batch * B + fixed`, where `B` is the run-time batch size.
///
/// Printed as `28`, `B`, `2*B`, `B+1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    /// How many times the batch size counts.
    pub batch: i64,
    /// The part known at compile time.
    pub fixed: i64,
}

impl Dim {
    /// The batch size itself.
    pub const BATCH: Dim = Dim { batch: 1, fixed: 0 };

    /// A dimension known at compile time.
    pub const fn fixed(extent: i64) -> Dim {
        Dim {
            batch: 0,
            fixed: extent,
        }
    }

    /// The extent, if it does not depend on the batch size.
    pub fn known(self) -> Option<i64> {
        (self.batch == 0).then_some(self.fixed)
    }

    /// Whether the extent depends on the batch size.
    pub fn is_dynamic(self) -> bool {
        self.batch != 0
    }

    /// The sum of two extents.
    #[allow(
        clippy::should_implement_trait,
        reason = "extents are added in few places, by name"
    )]
    pub fn add(self, other: Dim) -> Dim {
        Dim {
            batch: self.batch + other.batch,
            fixed: self.fixed + other.fixed,
        }
    }

    /// The extent with a number added.
    pub fn plus(self, count: i64) -> Dim {
        self.add(Dim::fixed(count))
    }

    /// The extent multiplied by a number.
    pub fn times(self, factor: i64) -> Dim {
        Dim {
            batch: self.batch * factor,
            fixed: self.fixed * factor,
        }
    }

    /// The product of two extents, if it is linear in the batch size.
    pub fn product(self, other: Dim) -> Option<Dim> {
        match (self.known(), other.known()) {
            (Some(factor), _) => Some(other.times(factor)),
            (_, Some(factor)) => Some(self.times(factor)),
            _ => None,
        }
    }

    /// Whether the number is at least 0 for every batch size of at least 1.
    pub fn never_negative(self) -> bool {
        self.batch >= 0 && self.at(1) >= 0
    }

    /// The extent for a given batch size.
    pub fn at(self, batch: i64) -> i64 {
        self.batch * batch + self.fixed
    }
}

impl From<i64> for Dim {
    fn from(extent: i64) -> Dim {
        Dim::fixed(extent)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.batch, self.fixed) {
            (0, n) => write!(f, "{n}"),
            (1, 0) => write!(f, "B"),
            (k, 0) => write!(f, "{k}*B"),
            (1, n) => write!(f, "B{n:+}"),
            (k, n) => write!(f, "{k}*B{n:+}"),
        }
    }
}

/// The type of a value: element type and shape. Rank 0 is a scalar.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The elements' type.
    pub dtype: DType,
    /// The extents, outermost first.
    pub shape: Vec<Dim>,
}

impl TensorType {
    /// A tensor type.
    pub fn new(dtype: DType, shape: impl Into<Vec<Dim>>) -> TensorType {
        TensorType {
            dtype,
            shape: shape.into(),
        }
    }

    /// A scalar type.
    pub fn scalar(dtype: DType) -> TensorType {
        TensorType {
            dtype,
            shape: Vec::new(),
        }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements for a given batch size.
    pub fn elements(&self, batch: i64) -> i64 {
        self.shape.iter().map(|dim| dim.at(batch)).product()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        if self.shape.is_empty() {
            return Ok(());
        }
        f.write_str("[")?;
        for (axis, dim) in self.shape.iter().enumerate() {
            write!(f, "{}{dim}", if axis == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
