//! Kernels on slices and on the backend's tensors.

#[forbid(unsafe_code)]
pub(crate) mod activation;
#[forbid(unsafe_code)]
pub(crate) mod adamw;
#[forbid(unsafe_code)]
pub(crate) mod attention;
#[forbid(unsafe_code)]
pub(crate) mod linear;
#[forbid(unsafe_code)]
pub(crate) mod math;
#[forbid(unsafe_code)]
pub(crate) mod norm;
pub(crate) mod raw;
#[forbid(unsafe_code)]
pub(crate) mod rotary;
#[forbid(unsafe_code)]
pub(crate) mod view;
