//! Element types, and a plain tensor: row-major values with a shape.

mod data_type;
mod layout;

pub use data_type::DataType;
pub use layout::{pack, unpack};

use crate::memory::Element;

/// A row-major tensor in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    dtype: DataType,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

/// Bytes that do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{dtype}{shape:?} does not take {bytes} bytes")]
pub struct TensorError {
    /// The element type.
    pub dtype: DataType,
    /// The shape.
    pub shape: Vec<u64>,
    /// How many bytes there are.
    pub bytes: usize,
}

impl Tensor {
    /// A tensor of these bytes, in the machine's order.
    ///
    /// # Errors
    /// When type, shape and number of bytes do not agree.
    pub fn new(dtype: DataType, shape: Vec<u64>, bytes: Vec<u8>) -> Result<Tensor, TensorError> {
        let expected = shape
            .iter()
            .try_fold(dtype.bytes(), |product, size| product.checked_mul(*size));
        if expected != Some(bytes.len() as u64) {
            return Err(TensorError {
                dtype,
                shape,
                bytes: bytes.len(),
            });
        }
        Ok(Tensor {
            dtype,
            shape,
            bytes,
        })
    }

    /// A tensor of these numbers.
    ///
    /// # Errors
    /// When shape and number of values do not agree.
    pub fn from_f32(shape: Vec<u64>, values: &[f32]) -> Result<Tensor, TensorError> {
        Tensor::new(
            DataType::F32,
            shape,
            values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
        )
    }

    /// A tensor of these integers.
    ///
    /// # Errors
    /// When shape and number of values do not agree.
    pub fn from_i32(shape: Vec<u64>, values: &[i32]) -> Result<Tensor, TensorError> {
        Tensor::new(
            DataType::I32,
            shape,
            values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
        )
    }

    /// The element type.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.bytes() as usize
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements' bytes, in the machine's order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements as `f32`, whatever their type; `i64` and large `i32` round.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            DataType::F32 => self.read(f32::from_ne_bytes),
            DataType::Bf16 => {
                self.read(|bytes| f32::from_bits(u32::from(u16::from_ne_bytes(bytes)) << 16))
            }
            DataType::I32 => self.read(|bytes| i32::from_ne_bytes(bytes) as f32),
            DataType::I64 => self.read(|bytes| i64::from_ne_bytes(bytes) as f32),
            DataType::U8 | DataType::Bool => self.read(|[byte]: [u8; 1]| f32::from(byte)),
        }
    }

    /// The elements as `i32`, for integer types whose values fit.
    pub fn to_i32(&self) -> Option<Vec<i32>> {
        match self.dtype {
            DataType::I32 => Some(self.read(i32::from_ne_bytes)),
            DataType::I64 => self
                .read(|bytes| i32::try_from(i64::from_ne_bytes(bytes)).ok())
                .into_iter()
                .collect(),
            DataType::U8 | DataType::Bool => Some(self.read(|[byte]: [u8; 1]| i32::from(byte))),
            DataType::F32 | DataType::Bf16 => None,
        }
    }

    fn read<const N: usize, T>(&self, convert: impl Fn([u8; N]) -> T) -> Vec<T> {
        self.bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|bytes| convert(*bytes))
            .collect()
    }
}

/// A view of numbers as their bytes.
pub fn bytes_of<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: an `Element` is a plain number without padding, and `u8` has no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_bytes_agree() {
        let error = Tensor::from_f32(vec![2, 3], &[1.0]).unwrap_err();
        assert_eq!(error.to_string(), "f32[2, 3] does not take 4 bytes");
        assert!(Tensor::new(DataType::I64, vec![u64::MAX, 2], vec![]).is_err());
        assert_eq!(
            Tensor::from_i32(vec![], &[5]).map(|tensor| tensor.to_i32()),
            Ok(Some(vec![5]))
        );
    }

    #[test]
    fn conversions() {
        let bf16 = Tensor::new(DataType::Bf16, vec![1], 0x3fc0u16.to_ne_bytes().to_vec())
            .expect("two bytes");
        assert_eq!(bf16.to_f32(), [1.5]);
        let wide = Tensor::new(DataType::I64, vec![1], (1i64 << 40).to_ne_bytes().to_vec())
            .expect("eight bytes");
        assert_eq!(wide.to_i32(), None);
        assert_eq!(
            bytes_of(&[1i32, 2]),
            Tensor::from_i32(vec![2], &[1, 2]).expect("two").bytes()
        );
    }
}
