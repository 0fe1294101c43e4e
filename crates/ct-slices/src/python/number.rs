//! Numbers as Python writes them.

use serde::{Deserialize, Serialize};

/// A Python number that is written with a point only if it is a float: `0` and `0.0` differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PyNumber {
    /// An `int`.
    Int(u64),
    /// A `float`.
    Float(f64),
}

impl PyNumber {
    /// The value, whatever its type.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// `repr(value)` of a Python float, and `NaN`, `Infinity`, `-Infinity` as Python's `json` writes
/// what JSON has no word for.
///
/// The shortest digits that read back to the same number; a point always, or an exponent of at
/// least two digits from `1e+16` up and from `1e-05` down.
///
/// ```
/// use ct_slices::python::float_repr;
///
/// assert_eq!(float_repr(1.0), "1.0");
/// assert_eq!(float_repr(0.00001), "1e-05");
/// assert_eq!(float_repr(1e16), "1e+16");
/// ```
#[must_use]
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    // Rust's `{:e}` has the same shortest digits; only their layout is Python's own.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let n_digits = digits.len();
    let text = match exponent {
        ..=-5 | 16.. => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        -4..=-1 => format!("0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
        0..=15 => {
            let n_whole = exponent.unsigned_abs() as usize + 1;
            let (whole, fraction) = digits.split_at(n_whole.min(n_digits));
            let zeros = "0".repeat(n_whole.saturating_sub(n_digits));
            let fraction = if fraction.is_empty() { "0" } else { fraction };
            format!("{whole}{zeros}.{fraction}")
        }
    };
    format!("{sign}{text}")
}
