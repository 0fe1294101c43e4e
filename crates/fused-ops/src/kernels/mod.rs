//! Kernels on slices and on the backend's tensors.

pub(crate) mod activation;
pub(crate) mod adamw;
pub(crate) mod attention;
pub(crate) mod linear;
pub(crate) mod math;
pub(crate) mod memory;
pub(crate) mod norm;
pub(crate) mod parts;
pub(crate) mod product;
pub(crate) mod rotary;
pub(crate) mod view;
