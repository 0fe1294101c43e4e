//! Attention with grouped key heads.

use burn::tensor::module::{attention as fused, attention_fallback};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor};

use crate::place::has_kernels;

/// What attention looks at.
#[derive(Debug, Clone)]
pub struct Attended {
    /// `[batch, n_heads, n_queries, head_dim]`
    pub queries: Tensor<4>,
    /// `[batch, n_kv_heads, n_keys, head_dim]`: query head h uses key head
    /// h · `n_kv_heads` / `n_heads`.
    pub keys: Tensor<4>,
    /// As the keys.
    pub values: Tensor<4>,
    /// `[batch, 1, n_queries, n_keys]`, true where hidden; with `is_causal` true for the future
    /// too.
    pub hidden: Option<Tensor<4, Bool>>,
    /// The last query sees all keys, the one before it one less, and so on.
    pub is_causal: bool,
    /// Whether gradients will be asked for: elsewhere than on the CPU this chooses burn's
    /// decomposed form.
    pub is_training: bool,
}

/// `softmax(q · kᵀ / √head_dim) · v` over the keys that a query sees.
///
/// A query that sees no key gives zeros on the CPU, and something undefined elsewhere.
///
/// # Shapes
/// - returns as the queries
///
/// # Panics
/// If the shapes do not fit each other.
pub fn attention(attended: Attended) -> Tensor<4> {
    let Attended { queries, keys, values, hidden, is_causal, is_training } = attended;
    #[cfg(feature = "flex")]
    if [&queries, &keys, &values].into_iter().all(has_kernels) {
        use crate::extension::{Hidden, Kernels as _};
        let hidden = hidden.map_or(Hidden::Nothing, |hidden| Hidden::Mask(hidden.into_dispatch()));
        let (out, _) = burn::backend::Dispatch::kernel_attention(
            queries.into_dispatch(),
            keys.into_dispatch(),
            values.into_dispatch(),
            hidden,
            is_causal,
        );
        return Tensor::from_dispatch(out);
    }
    #[cfg(not(feature = "flex"))]
    let _ = has_kernels(&queries);
    let [batch, n_heads, n_queries, _] = queries.dims();
    let [_, n_kv_heads, n_keys, _] = keys.dims();
    let group = n_heads / n_kv_heads;
    let (keys, values) = (repeat_heads(keys, group), repeat_heads(values, group));
    let hidden = hidden.map(|hidden| hidden.expand([batch, n_heads, n_queries, n_keys]));
    // The mask says it too, and one query sees everything. The scale 1/sqrt(head_dim) is the call's
    // default; naming it would cost the fused kernel.
    let is_causal = is_causal && hidden.is_none() && n_queries > 1;
    let options = AttentionModuleOptions { is_causal, ..AttentionModuleOptions::default() };
    let attend = if is_training { attention_fallback } else { fused };
    attend(queries, keys, values, hidden, None, options)
}

/// Repeats each key head `group` times in place.
fn repeat_heads(x: Tensor<4>, group: usize) -> Tensor<4> {
    if group == 1 {
        return x;
    }
    let [batch, heads, n, width] = x.dims();
    x.unsqueeze_dim::<5>(2).expand([batch, heads, group, n, width]).reshape([batch, heads * group, n, width])
}
