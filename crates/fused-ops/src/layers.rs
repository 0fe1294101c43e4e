//! Linear maps, norms, activations and rotary positions.

use burn::tensor::Tensor;

use crate::place::{has_kernels, is_cpu};

/// Calls the kernel where all tensors are ones that it takes.
macro_rules! kernel {
    ([$($x:expr),+] => $call:expr) => {
        #[cfg(feature = "flex")]
        if $(has_kernels($x))&&+ {
            use crate::extension::Kernels as _;
            return Tensor::from_dispatch($call);
        }
        #[cfg(not(feature = "flex"))]
        if $(has_kernels($x))&&+ {
            unreachable!("no kernels were built");
        }
    };
}

#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// `x · Wᵀ + b`.
///
/// # Shapes
/// - `x`: `[..., d_input]`
/// - `weight`: `[d_output, d_input]`
/// - `bias`: `[d_output]`
/// - returns `[..., d_output]`
///
/// # Panics
/// If the shapes do not fit each other.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    match &bias {
        None => {
            kernel!([&x, &weight] => Dispatch::kernel_linear(x.into_dispatch(), weight.into_dispatch()));
        }
        Some(bias) => {
            kernel!([&x, &weight, bias] => Dispatch::kernel_linear_bias(
                x.into_dispatch(),
                weight.into_dispatch(),
                bias.clone().into_dispatch(),
            ));
        }
    }
    let mut dims = x.dims();
    let width = dims[D - 1];
    let n_rows: usize = dims[..D - 1].iter().product();
    if n_rows > FEW_ROWS || !is_cpu(&x.device()) {
        return burn::tensor::module::linear(x, weight.transpose(), bias);
    }
    // Halves on the CPU: `(W · xᵀ)ᵀ` reads the weight as it lies, without a copy of its transpose.
    dims[D - 1] = weight.dims()[0];
    let columns = x.reshape([n_rows, width]).transpose(); // [d_input, n_rows]
    let product = weight.matmul(columns).transpose().reshape(dims);
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

/// Rows up to which the CPU takes a composed product the other way round.
const FEW_ROWS: usize = 64;

/// The same weight in another order of memory, in which [`linear`] is faster for many rows; for a
/// few, as for new tokens one at a time, it is slower. On other devices than the CPU: unchanged.
///
/// # Shapes
/// - `weight`: `[d_output, d_input]`, off the graph
/// - returns the same
#[must_use]
pub fn lay_out_for_many_rows(weight: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if has_kernels(&weight)
        && let Ok(tensor) = weight.clone().try_into_primitive::<burn::backend::Flex>()
    {
        let turned = crate::kernels::linear::lay_columns_first(&tensor);
        return Tensor::from_primitive::<burn::backend::Flex>(turned);
    }
    weight
}

/// Root-mean-square norm over the last axis, `x / √(mean x² + ε) · w`.
///
/// # Shapes
/// - `x`: `[..., width]`
/// - `weight`: `[width]`
/// - returns as `x`
///
/// # Panics
/// If the weight has another width.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    #[expect(clippy::cast_possible_truncation, reason = "the kernels count in f32")]
    {
        kernel!([&x, &weight] => Dispatch::kernel_rms_norm(
            x.into_dispatch(),
            weight.into_dispatch(),
            epsilon as f32,
        ).0);
    }
    let deviation = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt();
    (x / deviation) * weight.unsqueeze()
}

/// Layer norm over the last axis, `(x - mean) / √(variance + ε) · w + b`.
///
/// # Shapes
/// - `x`: `[..., width]`
/// - `weight`, `bias`: `[width]`
/// - returns as `x`
///
/// # Panics
/// If weight or bias have another width.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    #[expect(clippy::cast_possible_truncation, reason = "the kernels count in f32")]
    {
        kernel!([&x, &weight, &bias] => Dispatch::kernel_layer_norm(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            epsilon as f32,
        ).0);
    }
    burn::tensor::module::layer_norm(x, weight, Some(bias), epsilon)
}

/// The exact GELU, `x · Φ(x)`.
///
/// # Shapes
/// - returns as `x`
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    kernel!([&x] => Dispatch::kernel_gelu(x.into_dispatch()));
    burn::tensor::activation::gelu(x)
}

/// `gate · σ(gate) · up`, the gated activation of LLaMA.
///
/// # Shapes
/// - `gate`, `up`: of one shape
/// - returns the same
///
/// # Panics
/// If the shapes differ.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "shapes of gate and up");
    kernel!([&gate, &up] => Dispatch::kernel_swiglu(gate.into_dispatch(), up.into_dispatch()));
    burn::tensor::activation::silu(gate) * up
}

/// Turns each pair of entries (j, j + `head_dim` / 2) by its position's angle.
///
/// # Shapes
/// - `x`: `[batch, n_heads, n, head_dim]`
/// - `cos`, `sin`: `[batch, 1, n, head_dim / 2]`, constants of `x`'s type
/// - returns as `x`
///
/// # Panics
/// If the shapes do not fit each other.
pub fn rotate(x: Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Tensor<4> {
    kernel!([&x, cos, sin] => Dispatch::kernel_rotate(
        x.into_dispatch(),
        cos.clone().into_dispatch(),
        sin.clone().into_dispatch(),
        false,
    ));
    let half = x.dims()[3] / 2;
    let first = x.clone().narrow(3, 0, half);
    let second = x.narrow(3, half, half);
    let (cos, sin) = (cos.clone(), sin.clone());
    Tensor::cat(
        vec![first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin],
        3,
    )
}
