//! The operations with their gradients, on burn's autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use crate::extension::{Hidden, Kernels};

/// Gradients of gradients are not there, as nowhere in burn.
const FIRST_ORDER: &str = "gradients are of first order";

#[derive(Debug)]
struct Linear;

impl<B: Backend + Kernels> Backward<B, 2> for Linear {
    /// `x` where the weight learns, and the weight where `x` has a gradient.
    type State = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([of_x, of_weight], (x, weight)) = (ops.parents, ops.state);
        if let Some((node, weight)) = of_x.zip(weight) {
            grads.register::<B>(node.id, B::kernel_linear_x(dy.clone(), weight));
        }
        if let Some((node, x)) = of_weight.zip(x) {
            grads.register::<B>(node.id, B::kernel_linear_weight(dy, x));
        }
    }
}

#[derive(Debug)]
struct LinearBias;

impl<B: Backend + Kernels> Backward<B, 3> for LinearBias {
    /// As in [`Linear`].
    type State = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([of_x, of_weight, of_bias], (x, weight)) = (ops.parents, ops.state);
        if let Some((node, weight)) = of_x.zip(weight) {
            grads.register::<B>(node.id, B::kernel_linear_x(dy.clone(), weight));
        }
        if let Some((node, x)) = of_weight.zip(x) {
            grads.register::<B>(node.id, B::kernel_linear_weight(dy.clone(), x));
        }
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, B::kernel_sum_of_rows(dy));
        }
    }
}

#[derive(Debug)]
struct RmsNorm;

impl<B: Backend + Kernels> Backward<B, 2> for RmsNorm {
    /// `x`, the weight and the moments.
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([of_x, of_weight], [x, weight, moments]) = (ops.parents, ops.state);
        if let Some(node) = of_weight {
            let gradient = B::kernel_norm_weight(dy.clone(), x.clone(), moments.clone());
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::kernel_norm_x(dy, x, weight, moments, false));
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Backend + Kernels> Backward<B, 3> for LayerNorm {
    /// `x`, the weight and the moments.
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([of_x, of_weight, of_bias], [x, weight, moments]) = (ops.parents, ops.state);
        if let Some(node) = of_weight {
            let gradient = B::kernel_norm_weight(dy.clone(), x.clone(), moments.clone());
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, B::kernel_sum_of_rows(dy.clone()));
        }
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::kernel_norm_x(dy, x, weight, moments, true));
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: Backend + Kernels> Backward<B, 1> for Gelu {
    /// `x`
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [of_x] = ops.parents;
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::kernel_gelu_x(dy, ops.state));
        }
    }
}

#[derive(Debug)]
struct Swiglu;

impl<B: Backend + Kernels> Backward<B, 2> for Swiglu {
    /// Both inputs.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([of_gate, of_up], [gate, up]) = (ops.parents, ops.state);
        let (d_gate, d_up) = B::kernel_swiglu_inputs(dy, gate, up);
        if let Some(node) = of_gate {
            grads.register::<B>(node.id, d_gate);
        }
        if let Some(node) = of_up {
            grads.register::<B>(node.id, d_up);
        }
    }
}

#[derive(Debug)]
struct Rotate;

impl<B: Backend + Kernels> Backward<B, 1> for Rotate {
    /// Cosines and sines, and whether they turned back.
    type State = (FloatTensor<B>, FloatTensor<B>, bool);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([of_x], (cos, sin, is_back)) = (ops.parents, ops.state);
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::kernel_rotate(dy, cos, sin, !is_back));
        }
    }
}

#[derive(Debug)]
struct Attention;

impl<B: Backend + Kernels> Backward<B, 3> for Attention {
    /// Queries, keys, values, output, logs of sums; what is hidden; whether the future is.
    type State = ([FloatTensor<B>; 5], Hidden<B>, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([q, k, v, out, log_sums], hidden, is_causal) = ops.state;
        let (dq, dk, dv) = B::kernel_attention_inputs(dy, q, k, v, out, log_sums, hidden, is_causal);
        for (node, gradient) in ops.parents.into_iter().zip([dq, dk, dv]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Backend + Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let keeps = (weight.is_tracked(), x.is_tracked());
        let (x, of_x) = x.into_parts();
        let (weight, of_weight) = weight.into_parts();
        let state = (keeps.0.then(|| x.clone()), keeps.1.then(|| weight.clone()));
        let y = B::kernel_linear(x, weight);
        match Linear.prepare::<C>([of_x, of_weight]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn kernel_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let keeps = (weight.is_tracked(), x.is_tracked());
        let (x, of_x) = x.into_parts();
        let (weight, of_weight) = weight.into_parts();
        let (bias, of_bias) = bias.into_parts();
        let state = (keeps.0.then(|| x.clone()), keeps.1.then(|| weight.clone()));
        let y = B::kernel_linear_bias(x, weight, bias);
        match LinearBias.prepare::<C>([of_x, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn kernel_rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, of_x) = x.into_parts();
        let (weight, of_weight) = weight.into_parts();
        let (y, moments) = B::kernel_rms_norm(x.clone(), weight.clone(), epsilon);
        let y = match RmsNorm.prepare::<C>([of_x, of_weight]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([x, weight, moments.clone()], y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, FloatTensor::<Self>::new(moments))
    }

    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, of_x) = x.into_parts();
        let (weight, of_weight) = weight.into_parts();
        let (bias, of_bias) = bias.into_parts();
        let (y, moments) = B::kernel_layer_norm(x.clone(), weight.clone(), bias, epsilon);
        let y = match LayerNorm.prepare::<C>([of_x, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([x, weight, moments.clone()], y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, FloatTensor::<Self>::new(moments))
    }

    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, of_x) = x.into_parts();
        let y = B::kernel_gelu(x.clone());
        match Gelu.prepare::<C>([of_x]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(x, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn kernel_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let (gate, of_gate) = gate.into_parts();
        let (up, of_up) = up.into_parts();
        let y = B::kernel_swiglu(gate.clone(), up.clone());
        match Swiglu.prepare::<C>([of_gate, of_up]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([gate, up], y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn kernel_rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        is_back: bool,
    ) -> FloatTensor<Self> {
        let (x, of_x) = x.into_parts();
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let y = B::kernel_rotate(x, cos.clone(), sin.clone(), is_back);
        match Rotate.prepare::<C>([of_x]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((cos, sin, is_back), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn kernel_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        hidden: Hidden<Self>,
        is_causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (q, of_q) = q.into_parts();
        let (k, of_k) = k.into_parts();
        let (v, of_v) = v.into_parts();
        let hidden = match hidden {
            Hidden::Mask(mask) => Hidden::Mask(mask),
            Hidden::Nothing => Hidden::Nothing,
        };
        let (out, log_sums) = B::kernel_attention(q.clone(), k.clone(), v.clone(), hidden.clone(), is_causal);
        let y = match Attention.prepare::<C>([of_q, of_k, of_v]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(([q, k, v, out.clone(), log_sums.clone()], hidden, is_causal), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        };
        (y, FloatTensor::<Self>::new(log_sums))
    }

    fn kernel_linear_x(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_linear_weight(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_sum_of_rows(_: FloatTensor<Self>) -> FloatTensor<Self> {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_norm_x(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: bool,
    ) -> FloatTensor<Self> {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_norm_weight(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_gelu_x(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_swiglu_inputs(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        panic!("{FIRST_ORDER}")
    }

    fn kernel_attention_inputs(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Hidden<Self>,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        panic!("{FIRST_ORDER}")
    }
}
