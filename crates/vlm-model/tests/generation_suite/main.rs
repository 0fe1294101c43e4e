//! Free and grounded generation: against golden tensors, and on random models without them.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

mod distributions;
mod free;
mod golden;
mod grounded;
mod models;
