//! One tensor of a container, and numbers in and out of it.

use std::fmt;

use super::{ContainerError, Dtype};

/// A named block of little-endian numbers, row by row.
///
/// `Debug` shows no data: weights are the server's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Name, unique in its container.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Extents, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements' bytes, little-endian.
    pub data: Vec<u8>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor {:?} {}", self.name, self.form())
    }
}

/// A constructor from numbers and an accessor to them, for one element type.
macro_rules! numbers {
    ($make:ident, $read:ident, $number:ty, $dtype:ident) => {
        #[doc = concat!("A tensor of `", stringify!($number), "`, row by row.")]
        pub fn $make(name: &str, shape: &[usize], values: &[$number]) -> Tensor {
            Tensor {
                name: name.to_string(),
                dtype: Dtype::$dtype,
                shape: shape.to_vec(),
                data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            }
        }

        #[doc = concat!("Its elements, which must be `", stringify!($number), "`.")]
        ///
        /// # Errors
        /// [`ContainerError::TensorForm`] if the element type is another.
        pub fn $read(&self) -> Result<Vec<$number>, ContainerError> {
            self.expect_dtype(Dtype::$dtype)?;
            let (chunks, _) = self.data.as_chunks();
            Ok(chunks
                .iter()
                .map(|c| <$number>::from_le_bytes(*c))
                .collect())
        }
    };
}

impl Tensor {
    /// A tensor of bytes.
    pub fn from_bytes(name: &str, shape: &[usize], data: Vec<u8>) -> Tensor {
        Tensor {
            name: name.to_string(),
            dtype: Dtype::U8,
            shape: shape.to_vec(),
            data,
        }
    }

    /// Its bytes, whose elements must be `u8`.
    ///
    /// # Errors
    /// [`ContainerError::TensorForm`] if the element type is another.
    pub fn as_bytes(&self) -> Result<&[u8], ContainerError> {
        self.expect_dtype(Dtype::U8)?;
        Ok(&self.data)
    }

    numbers!(from_i8s, to_i8s, i8, I8);
    numbers!(from_i32s, to_i32s, i32, I32);
    numbers!(from_i64s, to_i64s, i64, I64);
    numbers!(from_u16s, to_u16s, u16, U16);
    numbers!(from_u32s, to_u32s, u32, U32);
    numbers!(from_u64s, to_u64s, u64, U64);
    numbers!(from_f32s, to_f32s, f32, F32);
    numbers!(from_f64s, to_f64s, f64, F64);

    /// Refuses any shape but `shape`.
    ///
    /// # Errors
    /// [`ContainerError::TensorForm`], which shows both.
    pub fn expect_shape(&self, shape: &[usize]) -> Result<(), ContainerError> {
        if self.shape == shape {
            return Ok(());
        }
        Err(ContainerError::TensorForm {
            name: self.name.clone(),
            found: self.form(),
            expected: form(self.dtype, shape),
        })
    }

    fn expect_dtype(&self, dtype: Dtype) -> Result<(), ContainerError> {
        if self.dtype == dtype {
            return Ok(());
        }
        Err(ContainerError::TensorForm {
            name: self.name.clone(),
            found: self.form(),
            expected: form(dtype, &self.shape),
        })
    }

    /// Element type and shape, as `I32 [6, 1, 5, 5]`.
    pub fn form(&self) -> String {
        form(self.dtype, &self.shape)
    }

    /// Bytes that element type and shape need.
    pub(super) fn needed(&self) -> Result<u64, ContainerError> {
        needed(&self.name, self.dtype, &self.shape)
    }
}

fn form(dtype: Dtype, shape: &[usize]) -> String {
    format!("{dtype} {shape:?}")
}

/// Bytes that a tensor of this type and shape needs.
pub(super) fn needed(name: &str, dtype: Dtype, shape: &[usize]) -> Result<u64, ContainerError> {
    let overflow = || ContainerError::TensorOverflow {
        name: name.to_string(),
    };
    let bits = dtype.bitsize() as u64;
    if !bits.is_multiple_of(8) {
        return Err(ContainerError::TensorBits {
            name: name.to_string(),
        });
    }
    shape
        .iter()
        .try_fold(bits / 8, |size, extent| {
            size.checked_mul(u64::try_from(*extent).ok()?)
        })
        .ok_or_else(overflow)
}
