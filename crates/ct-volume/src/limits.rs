//! Bounds on what a file may ask for, checked before memory is taken.

/// Bounds that a reader checks before it allocates.
///
/// The defaults let any clinical CT through (a 1024x1024x2000 volume in `f32` is 8 GiB, so such a
/// study needs the byte limit raised) and stop headers that ask for absurd sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest decoded array, in bytes of its in-memory form or of the file's voxel type, whichever
    /// is larger. Default 4 GiB.
    pub max_bytes: u64,
    /// Largest length of one axis. Default 32,768.
    pub max_axis: u64,
    /// Largest file that is read into memory as it is. Default 4 GiB.
    pub max_file_bytes: u64,
    /// Most files in one series. Default 20,000.
    pub max_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self { max_bytes: 4 * GIB, max_axis: 32_768, max_file_bytes: 4 * GIB, max_files: 20_000 }
    }
}

/// A size that is above its limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {got}, above the limit of {limit}")]
pub struct LimitExceeded {
    /// What was measured.
    pub what: &'static str,
    /// The size asked for (saturated where the product overflows).
    pub got: u64,
    /// What is allowed.
    pub limit: u64,
}

impl Limits {
    /// Sets the byte limit for decoded arrays.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Checks axis lengths and the byte size of an array, in checked arithmetic.
    ///
    /// # Errors
    /// [`LimitExceeded`] with the first size that is too large.
    pub fn check_array(&self, axes: &[u64], bytes_per_element: u64) -> Result<u64, LimitExceeded> {
        let mut bytes = bytes_per_element;
        for &axis in axes {
            Self::check("axis length", axis, self.max_axis)?;
            bytes = bytes.saturating_mul(axis);
        }
        Self::check("array size in bytes", bytes, self.max_bytes)?;
        Ok(bytes)
    }

    /// Checks the size of a file that is to be read whole.
    ///
    /// # Errors
    /// [`LimitExceeded`] if it is too large.
    pub fn check_file(&self, bytes: u64) -> Result<(), LimitExceeded> {
        Self::check("file size in bytes", bytes, self.max_file_bytes)
    }

    pub(crate) fn check(what: &'static str, got: u64, limit: u64) -> Result<(), LimitExceeded> {
        if got > limit { Err(LimitExceeded { what, got, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_do_not_overflow() {
        let limits = Limits { max_axis: u64::MAX, ..Limits::default() };
        assert!(limits.check_array(&[u64::MAX, u64::MAX, 3], 4).is_err());
        assert_eq!(limits.check_array(&[512, 512, 100], 4), Ok(104_857_600));
        let error = Limits::default().check_array(&[32_767, 32_767, 32_767], 2).unwrap_err();
        assert_eq!(error.what, "array size in bytes");
    }
}
