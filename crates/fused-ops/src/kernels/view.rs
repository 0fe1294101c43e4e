//! The backend's tensors as slices, and back.

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

/// The numbers of a tensor in row-major order; copied where they lie otherwise.
pub(crate) struct Contiguous(FlexTensor);

impl Contiguous {
    pub(crate) fn new(tensor: &FlexTensor) -> Self {
        if tensor.layout().contiguous_offsets().is_some() {
            Self(tensor.clone())
        } else {
            Self(tensor.to_contiguous())
        }
    }

    pub(crate) fn numbers(&self) -> &[f32] {
        self.0.as_slice::<f32>().expect("f32 numbers in order")
    }
}

/// Rows and width of a tensor that is seen as a matrix of its last axis.
pub(crate) fn rows_and_width(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape();
    let rank = shape.num_dims();
    assert!(rank >= 1, "a tensor with an axis");
    let width = shape[rank - 1];
    [(0..rank - 1).map(|axis| shape[axis]).product(), width]
}

/// A tensor of numbers in row-major order.
pub(crate) fn tensor(numbers: Vec<f32>, shape: Shape) -> FlexTensor {
    assert_eq!(numbers.len(), shape.num_elements(), "numbers of a shape");
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(shape), DType::F32)
}

/// A shape with another last axis.
pub(crate) fn with_width(shape: &Shape, width: usize) -> Shape {
    let mut dims: Vec<usize> = (0..shape.num_dims()).map(|axis| shape[axis]).collect();
    *dims.last_mut().expect("a tensor with an axis") = width;
    Shape::from(dims)
}

/// Four axes of a tensor: sizes, strides and the first entry.
pub(crate) struct Strided<'a> {
    pub(crate) numbers: &'a [f32],
    pub(crate) dims: [usize; 4],
    pub(crate) strides: [usize; 4],
}

impl<'a> Strided<'a> {
    /// `None` where the last axis is not side by side in memory, or lies backwards.
    pub(crate) fn new(tensor: &'a FlexTensor) -> Option<Self> {
        let layout = tensor.layout();
        assert_eq!(layout.num_dims(), 4, "a tensor of four axes");
        let dims = std::array::from_fn(|axis| layout.shape()[axis]);
        let mut strides = [0; 4];
        for (stride, of_layout) in strides.iter_mut().zip(layout.strides()) {
            *stride = usize::try_from(*of_layout).ok()?;
        }
        let is_side_by_side = strides[3] == 1 || dims[3] == 1;
        strides[3] = 1;
        let numbers = &tensor.storage::<f32>()[layout.start_offset()..];
        is_side_by_side.then_some(Self { numbers, dims, strides })
    }

    /// The numbers from entry `[a, b, c, 0]` on.
    pub(crate) fn from(&self, [a, b, c]: [usize; 3]) -> &'a [f32] {
        &self.numbers[a * self.strides[0] + b * self.strides[1] + c * self.strides[2]..]
    }
}

/// A tensor whose last axis is side by side in memory.
pub(crate) fn side_by_side(tensor: &FlexTensor) -> FlexTensor {
    if Strided::new(tensor).is_some() { tensor.clone() } else { tensor.to_contiguous() }
}

/// A tensor that fills its memory in row-major order.
pub(crate) fn whole(tensor: FlexTensor) -> FlexTensor {
    let n_bytes = tensor.layout().num_elements() * size_of::<f32>();
    let is_whole = tensor.layout().contiguous_offsets().is_some() && tensor.bytes().len() == n_bytes;
    if is_whole { tensor } else { tensor.to_contiguous() }
}
