//! One update of `AdamW`.

use burn::tensor::Tensor;

use crate::place::has_kernels;

/// Numbers of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWNumbers {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Updates that the parameter had before this one.
    pub n_before: usize,
}

/// The running means of one parameter.
#[derive(Debug, Clone)]
pub struct AdamWMoments<const D: usize> {
    /// Of the gradient.
    pub first: Tensor<D>,
    /// Of its square.
    pub second: Tensor<D>,
}

/// Whether [`adamw`] has a kernel for these tensors.
#[must_use]
pub fn has_adamw<const D: usize>(parameter: &Tensor<D>, gradient: &Tensor<D>) -> bool {
    has_kernels(parameter) && has_kernels(gradient)
}

/// Parameter and moments after one update, in place where nothing else holds them.
///
/// # Shapes
/// - all tensors have the parameter's shape
///
/// # Panics
/// If they have not, or [`has_adamw`] does not hold.
///
/// # Source
/// Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
#[cfg(feature = "flex")]
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: Option<AdamWMoments<D>>,
    numbers: AdamWNumbers,
) -> (Tensor<D>, AdamWMoments<D>) {
    use crate::kernels::{adamw as kernel, view};
    use burn::backend::Flex;
    use burn_flex::FlexTensor;

    let shape = parameter.shape();
    let device = parameter.device();
    let on_cpu = |tensor: Tensor<D>| -> FlexTensor {
        assert_eq!(tensor.shape(), shape, "shapes of parameter, gradient and moments");
        view::whole(tensor.try_into_primitive::<Flex>().expect("an f32 tensor of the CPU, off the graph"))
    };
    let moments = moments.unwrap_or_else(|| AdamWMoments {
        first: Tensor::zeros(shape.clone(), &device),
        second: Tensor::zeros(shape.clone(), &device),
    });
    let gradient = on_cpu(gradient);
    let [mut values, mut first, mut second] = [parameter, moments.first, moments.second].map(on_cpu);
    let time = i32::try_from(numbers.n_before + 1).unwrap_or(i32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "the parameters are f32")]
    let coefficients = kernel::Coefficients {
        beta_1: numbers.beta_1,
        beta_2: numbers.beta_2,
        epsilon: numbers.epsilon,
        keep: (1.0 - numbers.lr * f64::from(numbers.weight_decay)) as f32,
        rate: (numbers.lr / (1.0 - f64::from(numbers.beta_1).powi(time))) as f32,
        second_scale: (1.0 / (1.0 - f64::from(numbers.beta_2).powi(time))) as f32,
    };
    kernel::update(
        values.storage_mut(),
        first.storage_mut(),
        second.storage_mut(),
        gradient.storage(),
        coefficients,
    );
    let [values, first, second] = [values, first, second].map(Tensor::<D>::from_primitive::<Flex>);
    (values, AdamWMoments { first, second })
}

/// As with kernels, which were not built: [`has_adamw`] never holds.
///
/// # Panics
/// Always.
#[cfg(not(feature = "flex"))]
pub fn adamw<const D: usize>(
    _: Tensor<D>,
    _: Tensor<D>,
    _: Option<AdamWMoments<D>>,
    _: AdamWNumbers,
) -> (Tensor<D>, AdamWMoments<D>) {
    unreachable!("no kernels were built")
}
