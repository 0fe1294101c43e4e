//! The only unsafe code of the workspace: memory that is not zeroed first, and the call of gemm.
//!
//! What leaves this module is sound: whatever a caller in safe code does, no number is read that was not
//! written, and nothing outside of a slice is touched. `bins/prepare-slices/tests/unsafe_code.rs` holds that
//! no other source file says `unsafe`.

mod memory;
mod parts;
mod product;

pub(crate) use parts::{by_rows, by_rows_2, sum_of_rows};
pub(crate) use product::{Mat, To, fresh_product, product};
