//! Work that calls many kernels.

use burn::tensor::Device;

/// Runs work on a thread of rayon's pool where `device` is the CPU, and here elsewhere.
///
/// A kernel that is called from outside of the pool hands itself over and waits asleep; from inside
/// it begins at once. A training step calls hundreds of them.
///
/// The work must not wait for other threads that use the pool, which may have this thread alone.
pub fn in_pool<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    if crate::place::is_cpu(device) {
        return rayon::scope(|_| work());
    }
    let _ = device;
    work()
}
