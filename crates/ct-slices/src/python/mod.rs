//! What the published records owe to Python: its random numbers and its JSON.

mod json;
mod number;
mod random;

pub use json::{PythonJsonError, to_python_json};
pub use number::{PyNumber, float_repr};
pub use random::{ChoicesError, PyRandom, SampleError};
