//! Keys and values of positions that were already computed.

use burn::tensor::{DType, Device, Tensor};

use crate::LlamaConfig;

/// Keys and values of every block, in memory taken once.
///
/// Keys are stored after rotation.
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    len: usize,
    capacity: usize,
}

#[derive(Debug, Clone)]
struct LayerCache {
    keys: Option<Tensor<4>>,
    values: Option<Tensor<4>>,
}

impl KvCache {
    /// An empty cache for `batch` rows of up to `capacity` positions.
    #[must_use]
    pub fn new(config: &LlamaConfig, batch: usize, capacity: usize, dtype: DType, device: &Device) -> Self {
        let shape = [batch, config.n_kv_heads, capacity, config.head_dim];
        let zeros = || Some(Tensor::zeros(shape, (device, dtype)));
        let layers = (0..config.n_layers).map(|_| LayerCache { keys: zeros(), values: zeros() }).collect();
        Self { layers, len: 0, capacity }
    }

    /// Positions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Keys and values of one block so far.
    ///
    /// # Shapes
    /// - returns two of `[batch, n_kv_heads, len, head_dim]`
    ///
    /// # Panics
    /// If there is no such block.
    #[must_use]
    pub fn layer(&self, layer_idx: usize) -> (Tensor<4>, Tensor<4>) {
        let layer = &self.layers[layer_idx];
        let held = |tensor: &Option<Tensor<4>>| {
            tensor.clone().expect("a cache is whole between calls").narrow(2, 0, self.len)
        };
        (held(&layer.keys), held(&layer.values))
    }

    /// Forgets every position from `len` on.
    ///
    /// # Panics
    /// If fewer positions are held.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len, "{len} positions of {}", self.len);
        self.len = len;
    }

    /// A cache of the same capacity whose row i is row `rows[i]` of this one.
    ///
    /// # Panics
    /// If a row is not there.
    #[must_use]
    pub fn rows(&self, rows: &[usize], device: &Device) -> Self {
        #[expect(clippy::cast_possible_wrap, reason = "a batch is small")]
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let index = Tensor::<1, burn::tensor::Int>::from_data(index.as_slice(), device);
        let pick = |tensor: &Option<Tensor<4>>| tensor.clone().map(|tensor| tensor.select(0, index.clone()));
        let layers = self
            .layers
            .iter()
            .map(|layer| LayerCache { keys: pick(&layer.keys), values: pick(&layer.values) })
            .collect();
        Self { layers, len: self.len, capacity: self.capacity }
    }

    /// Writes new positions of one block and returns all of its positions.
    ///
    /// The caller counts the positions once, with [`KvCache::advance`], after all blocks.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[batch, n_kv_heads, n, head_dim]`
    /// - returns two of `[batch, n_kv_heads, len + n, head_dim]`
    pub(crate) fn append(
        &mut self,
        layer_idx: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let start = self.len;
        let [_, _, n, _] = keys.dims();
        let write = |slot: &mut Option<Tensor<4>>, new: Tensor<4>| {
            let [batch, heads, _, width] = new.dims();
            // Taken out, so that the backend may write in place.
            let held = slot.take().expect("a cache is whole between calls");
            let held = held.slice_assign([0..batch, 0..heads, start..start + n, 0..width], new);
            *slot = Some(held.clone());
            held.narrow(2, 0, start + n)
        };
        let layer = &mut self.layers[layer_idx];
        (write(&mut layer.keys, keys), write(&mut layer.values, values))
    }

    pub(crate) fn advance(&mut self, n: usize) {
        self.len += n;
    }
}
