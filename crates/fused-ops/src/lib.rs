//! Operations of a transformer as one CPU kernel each, with hand-written gradients, on burn.
//!
//! burn composes these operations of several; on the CPU each of those walks over memory once
//! more, most of them on one thread. Here each is one pass, on all threads of rayon's pool, and
//! keeps for the gradient only what it needs.
//!
//! Every function takes ordinary tensors. Where an input is not f32, lies on another device than
//! the CPU, or the `flex` feature is off, the same result is composed of burn's own operations.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex();
//! let x = Tensor::<3>::random([2, 5, 16], Distribution::Default, &device);
//! let weight = Tensor::<2>::random([8, 16], Distribution::Default, &device);
//! assert_eq!(fused_ops::linear(x, weight, None).dims(), [2, 5, 8]);
//! # }
//! ```
//!
//! Results have the same bits for any number of threads: work is cut into parts of fixed size, and
//! sums over parts are taken in order.

// Unsafe code lies in `kernels::raw` alone.
#[forbid(unsafe_code)]
mod adamw;
#[forbid(unsafe_code)]
mod attention;
#[cfg(feature = "flex")]
#[forbid(unsafe_code)]
mod autodiff;
#[cfg(feature = "flex")]
#[forbid(unsafe_code)]
mod extension;
#[cfg(feature = "flex")]
mod kernels;
#[forbid(unsafe_code)]
mod layers;
#[forbid(unsafe_code)]
mod place;
#[forbid(unsafe_code)]
mod pool;

pub use adamw::{AdamWMoments, AdamWNumbers, adamw, has_adamw};
pub use attention::{Attended, attention};
pub use layers::{gelu, lay_out_for_many_rows, layer_norm, linear, rms_norm, rotate, swiglu};
pub use place::is_cpu;
pub use pool::in_pool;
