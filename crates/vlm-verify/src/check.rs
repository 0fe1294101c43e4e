//! Comparisons that become cases.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use vlm_model::{ModelError, Precision};

use crate::golden_file::Array;
use crate::{Case, Skipped, Tolerance};

/// Collects the cases of one group.
pub(crate) struct Checker<'a> {
    pub(crate) group: String,
    pub(crate) precision: Precision,
    pub(crate) cases: &'a mut Vec<Case>,
    pub(crate) skipped: &'a mut Vec<Skipped>,
    pub(crate) on_case: &'a mut dyn FnMut(&Case),
}

impl Checker<'_> {
    /// Compares a tensor with golden values.
    pub(crate) fn tensor<const D: usize>(
        &mut self,
        name: &str,
        tolerance: Tolerance,
        actual: Tensor<D>,
        expected: &Array<f32>,
    ) {
        let shape = actual.dims().to_vec();
        match actual.cast(DType::F32).without_autodiff().try_into_data() {
            Ok(data) => {
                let values: Vec<f32> = data.iter::<f32>().collect();
                self.values(name, tolerance, &Array { shape, values }, expected);
            }
            Err(error) => self.failed(name, tolerance, format!("cannot be read back: {error}")),
        }
    }

    /// Compares a tensor with golden values at real positions only; padding means nothing.
    ///
    /// # Shapes
    /// - `actual`: `[batch, n, width]`; `mask`: `[batch, n]`
    pub(crate) fn real_positions(
        &mut self,
        name: &str,
        tolerance: Tolerance,
        actual: Tensor<3>,
        expected: &Array<f32>,
        mask: &Array<i64>,
    ) {
        let [batch, n, _] = actual.dims();
        if mask.shape != [batch, n] {
            return self.failed(
                name,
                tolerance,
                format!("a mask of {:?} for {batch} rows of {n}", mask.shape),
            );
        }
        let real: Vec<f32> = mask.values.iter().map(|real| if *real == 0 { 0.0 } else { 1.0 }).collect();
        let real = Array { shape: vec![batch, n, 1], values: real };
        let device = actual.device();
        let zeroed = actual.cast(DType::F32) * real.tensor::<3>(&device);
        self.tensor(name, tolerance, zeroed, expected);
    }

    /// Compares host values.
    pub(crate) fn values(
        &mut self,
        name: &str,
        tolerance: Tolerance,
        actual: &Array<f32>,
        expected: &Array<f32>,
    ) {
        match difference(actual, expected, tolerance) {
            Ok(worst) => self.push(name, tolerance, worst, None),
            Err(note) => self.failed(name, tolerance, note),
        }
    }

    /// Compares named tensors as one case: the expected ones, all of them and no others.
    pub(crate) fn named(
        &mut self,
        name: &str,
        tolerance: Tolerance,
        actual: &BTreeMap<String, Array<f32>>,
        expected: &BTreeMap<String, Array<f32>>,
    ) {
        let mut worst: (f64, &str) = (0.0, "none");
        for (tensor, expected) in expected {
            let Some(actual) = actual.get(tensor) else {
                return self.failed(name, tolerance, format!("`{tensor}` is not there"));
            };
            match difference(actual, expected, tolerance) {
                Ok(found) if found >= worst.0 => worst = (found, tensor),
                Ok(_) => {}
                Err(note) => return self.failed(name, tolerance, format!("`{tensor}`: {note}")),
            }
        }
        if let Some(other) = actual.keys().find(|tensor| !expected.contains_key(*tensor)) {
            return self.failed(name, tolerance, format!("`{other}` is not golden"));
        }
        let note = format!("{} tensors, the worst is `{}`", expected.len(), worst.1);
        self.push(name, tolerance, worst.0, Some(note));
    }

    /// Compares a series of numbers as one case.
    pub(crate) fn series(&mut self, name: &str, tolerance: Tolerance, actual: &[f64], expected: &[f64]) {
        if actual.len() != expected.len() {
            let note = format!("{} numbers against {}", actual.len(), expected.len());
            return self.failed(name, tolerance, note);
        }
        let differences = || actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
        if !differences().all(f64::is_finite) {
            return self.failed(name, tolerance, NOT_FINITE.to_owned());
        }
        self.push(name, tolerance, differences().fold(0.0, f64::max), None);
    }

    /// Compares one number.
    pub(crate) fn number(&mut self, name: &str, tolerance: Tolerance, actual: f64, expected: f64) {
        self.series(name, tolerance, &[actual], &[expected]);
    }

    /// Compares things that must be equal.
    pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, actual: &T, expected: &T) {
        if actual == expected {
            self.push(name, Tolerance::Exact, 0.0, None);
        } else {
            let mut note = format!("{actual:?} against {expected:?}");
            if note.len() > 300 {
                let end = (0..=300).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
                note.truncate(end);
                note.push('…');
            }
            self.failed(name, Tolerance::Exact, note);
        }
    }

    /// As [`Checker::equal`]; what cannot be computed (logits that are no numbers) is wrong too.
    pub(crate) fn computed<T: PartialEq + std::fmt::Debug>(
        &mut self,
        name: &str,
        actual: Result<T, ModelError>,
        expected: &T,
    ) {
        match actual {
            Ok(actual) => self.equal(name, &actual, expected),
            Err(error) => self.failed(name, Tolerance::Exact, error.to_string()),
        }
    }

    /// A case that failed without a difference to give.
    pub(crate) fn failed(&mut self, name: &str, tolerance: Tolerance, note: String) {
        self.add(name, f64::MAX, tolerance.limit(self.precision), false, Some(note));
    }

    /// Names something that is not compared.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(Skipped { name: format!("{}/{name}", self.group), reason: reason.to_owned() });
    }

    fn push(&mut self, name: &str, tolerance: Tolerance, worst: f64, note: Option<String>) {
        let limit = tolerance.limit(self.precision);
        self.add(name, worst, limit, worst <= limit, note);
    }

    fn add(&mut self, name: &str, worst: f64, tolerance: f64, pass: bool, note: Option<String>) {
        let case = Case { group: self.group.clone(), name: name.to_owned(), worst, tolerance, pass, note };
        (self.on_case)(&case);
        self.cases.push(case);
    }
}

const NOT_FINITE: &str = "a value is not a finite number";

/// The largest difference of two tensors, or why there is none.
fn difference(actual: &Array<f32>, expected: &Array<f32>, tolerance: Tolerance) -> Result<f64, String> {
    if actual.shape != expected.shape {
        return Err(format!("{:?} against {:?}", actual.shape, expected.shape));
    }
    let pairs = || actual.values.iter().zip(&expected.values).map(|(a, e)| (f64::from(*a), f64::from(*e)));
    // max() would pass over what is not a number
    if !pairs().all(|(a, e)| a.is_finite() && e.is_finite()) {
        return Err(NOT_FINITE.to_owned());
    }
    if tolerance == Tolerance::HalfShare {
        // below f16's normal numbers its step is constant
        return Ok(pairs().map(|(a, e)| (a - e).abs() / e.abs().max(6.2e-5)).fold(0.0, f64::max));
    }
    let worst = pairs().map(|(a, e)| (a - e).abs()).fold(0.0, f64::max);
    if tolerance.is_share() {
        let largest = pairs().map(|(_, e)| e.abs()).fold(0.0, f64::max);
        // a tensor without any gradient: the difference itself
        return Ok(if largest > 0.0 { worst / largest } else { worst });
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(actual: &[f32], expected: &[f32], tolerance: Tolerance, pass: bool) {
        let array = |values: &[f32]| Array { shape: vec![values.len()], values: values.to_vec() };
        let (mut cases, mut skipped) = (Vec::new(), Vec::new());
        let mut checker = Checker {
            group: "g".to_owned(),
            precision: Precision::F32,
            cases: &mut cases,
            skipped: &mut skipped,
            on_case: &mut |_| {},
        };
        checker.values("case", tolerance, &array(actual), &array(expected));
        assert_eq!(cases[0].pass, pass, "{actual:?} {expected:?} {tolerance:?}: {:?}", cases[0]);
        assert!(serde_json::to_string(&cases[0]).is_ok());
    }

    #[test]
    fn what_passes() {
        let loss = Tolerance::Loss;
        check(&[1.0, 2.0], &[1.0, 2.0], Tolerance::Exact, true);
        check(&[1.0, 2.000_005], &[1.0, 2.0], loss, true);
        check(&[1.0, 2.000_05], &[1.0, 2.0], loss, false);
        check(&[1.0], &[1.0, 2.0], loss, false);
        check(&[f32::NAN, 1.0], &[1.0, 1.0], loss, false);
        check(&[1.0, 1.0], &[f32::NAN, 1.0], loss, false);
        check(&[f32::INFINITY], &[f32::INFINITY], loss, false);
        check(&[100.001, 0.0], &[100.0, 0.001], Tolerance::GradientShare, true);
        check(&[0.0, 0.0], &[0.0, 0.0], Tolerance::GradientShare, true);
        check(&[1.000_4, 1e-7], &[1.0, 1.2e-7], Tolerance::HalfShare, true);
        check(&[1.001], &[1.0], Tolerance::HalfShare, false);
    }
}
