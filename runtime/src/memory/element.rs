//! The Rust types that buffers and tensors can be viewed as.

/// A number type without padding for which every bit pattern is a value.
///
/// # Safety
/// Implementors are plain numbers: any bytes are a valid value, and the alignment is at most the size.
pub unsafe trait Element: Copy + Default + Send + Sync + 'static {}

// SAFETY: a plain number.
unsafe impl Element for f32 {}
// SAFETY: a plain number.
unsafe impl Element for i32 {}
// SAFETY: a plain number.
unsafe impl Element for i64 {}
// SAFETY: a plain number.
unsafe impl Element for u16 {}
// SAFETY: a plain number.
unsafe impl Element for u8 {}

/// Bytes viewed as numbers.
///
/// # Panics
/// When they are not aligned for numbers or not a whole count of them.
pub fn cast_mut<T: Element>(bytes: &mut [u8]) -> &mut [T] {
    // SAFETY: every bit pattern is a `T` (`Element`) and every `T` is bytes without padding.
    let (before, values, after) = unsafe { bytes.align_to_mut::<T>() };
    assert!(
        before.is_empty() && after.is_empty(),
        "bytes that are not aligned numbers"
    );
    values
}
