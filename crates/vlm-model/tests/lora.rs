//! Adapters in activation space against the formula, the merged weight and burn's own LoRA.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::cast_precision_loss, reason = "small numbers")]

mod random;

use burn::module::{Lora, Module, ModuleMapper, Param, ParamGroup};
use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData, Tolerance};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use vlm_model::{
    AttentionMask, LoraConfig, LoraLinear, LoraTarget, MiniGptConfig, Pass, Precision, initialized_model,
    with_new_adapters,
};

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn adapted(d_input: usize, d_output: usize, config: &LoraConfig, device: &Device) -> LoraLinear {
    LoraLinear::empty(d_input, d_output, LoraTarget::QProj, Some(config), DType::F32, device)
}

#[test]
fn worked_vector() {
    // SPEC 3.6: W = I, A = [[1, 1]], B = [[2], [0]], scale 16/64, x = [3, 4]
    let device = Device::flex();
    let config = LoraConfig { rank: 1, alpha: 0.25, dropout: 0.05, ..LoraConfig::default() };
    let mut linear = adapted(2, 2, &config, &device);
    linear.base.weight = Param::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
    let adapter = linear.adapter.as_mut().unwrap();
    adapter.a = Param::from_data([[1.0, 1.0]], &device);
    adapter.b = Param::from_data([[2.0], [0.0]], &device);
    let x = Tensor::<2>::from_data([[3.0, 4.0]], &device);
    let expected = TensorData::from([[6.5_f32, 4.0]]);
    linear.forward(x.clone(), Pass::Inference).into_data().assert_eq(&expected, true);
    linear.merge().forward(x, Pass::Inference).into_data().assert_eq(&expected, true);
    assert_eq!(LoraConfig::default().scale(), 0.25);
}

#[test]
fn a_fresh_adapter_changes_nothing_and_merging_changes_no_output() {
    let mut config = random::small_config();
    config.lora = Some(LoraConfig { targets: LoraTarget::ALL.to_vec(), ..config.lora.unwrap() });
    let model = random::random_model(&config, 1, 0.3);
    let mask = AttentionMask::full(2, 7);
    let llama = &model.language_model;
    let context = llama.context(&mask).unwrap();
    let values = random::random_values(&mut ChaCha8Rng::seed_from_u64(9), 2 * 7 * 32, 1.0);
    let x = tensor(values, [2, 7, 32], &Device::flex());
    let attached = llama.logits(x.clone(), &context, None);
    let merged = model.clone().merge_adapters();
    assert!(merged.config().lora.is_none());
    let close = Tolerance::absolute(2e-5);
    merged
        .language_model
        .logits(x.clone(), &context, None)
        .into_data()
        .assert_approx_eq::<f32>(&attached.clone().into_data(), close);

    // B of zeros: only then is the base model left.
    let mut fresh = model.clone();
    for layer in &mut fresh.language_model.layers {
        let maps = [
            &mut layer.self_attn.q_proj,
            &mut layer.self_attn.k_proj,
            &mut layer.self_attn.v_proj,
            &mut layer.self_attn.o_proj,
            &mut layer.mlp.gate_proj,
            &mut layer.mlp.up_proj,
            &mut layer.mlp.down_proj,
        ];
        for map in maps {
            let adapter = map.adapter.as_mut().unwrap();
            adapter.b = adapter.b.clone().map(|b| b.zeros_like());
        }
    }
    let mut bare = fresh.clone();
    for layer in &mut bare.language_model.layers {
        layer.self_attn.q_proj.adapter = None;
        layer.mlp.down_proj.adapter = None;
    }
    let base = bare.language_model.logits(x.clone(), &context, None).into_data();
    fresh.language_model.logits(x, &context, None).into_data().assert_eq(&base, true);
    let moved = (attached - Tensor::from_data(base, &Device::flex())).abs().max().into_scalar::<f32>();
    assert!(moved > 0.1, "the adapters of this test matter: {moved}");
}

#[test]
fn unmerging_gives_the_base_back() {
    let device = Device::flex();
    let config = LoraConfig { rank: 2, alpha: 5.0, ..LoraConfig::default() };
    let mut draws = ChaCha8Rng::seed_from_u64(3);
    let mut linear = adapted(6, 5, &config, &device);
    linear.base.weight =
        Param::from_tensor(tensor(random::random_values(&mut draws, 30, 1.0), [5, 6], &device));
    let adapter = linear.adapter.as_mut().unwrap();
    adapter.a = Param::from_tensor(tensor(random::random_values(&mut draws, 12, 1.0), [2, 6], &device));
    adapter.b = Param::from_tensor(tensor(random::random_values(&mut draws, 10, 1.0), [5, 2], &device));
    let (before, adapter) = (linear.base.weight.val().into_data(), linear.adapter.clone().unwrap());
    let merged = linear.merge();
    assert!(merged.adapter.is_none());
    let back = merged.unmerge(adapter);
    back.base.weight.val().into_data().assert_approx_eq::<f32>(&before, Tolerance::absolute(1e-6));
    assert!(back.adapter.is_some());
}

/// Puts given factors into burn's adapter: `a` is `[in, rank]` there, `b` `[rank, out]`.
struct SetFactors {
    a: Tensor<2>,
    b: Tensor<2>,
    path: Vec<String>,
}

impl ModuleMapper for SetFactors {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let new = match self.path.last().map(String::as_str) {
            Some("a") => self.a.clone(),
            Some("b") => self.b.clone(),
            _ => return param,
        };
        let shape = param.lazy_shape();
        param.map(|old| {
            let new: Tensor<D> = new.reshape(shape);
            if old.is_autodiff() { new.autodiff().require_grad() } else { new }
        })
    }
}

/// Output and factor gradients of burn's weight-space LoRA and of ours agree.
#[test]
fn equals_burns_own_lora() {
    let plain = Device::flex();
    let training = plain.clone().autodiff();
    let (d_input, d_output, rank, alpha) = (7, 5, 3, 4.5);
    let mut draws = ChaCha8Rng::seed_from_u64(11);
    let mut draw = |shape: [usize; 2]| {
        tensor(random::random_values(&mut draws, shape[0] * shape[1], 1.0), shape, &plain)
    };
    let (weight, a, b) = (draw([d_output, d_input]), draw([rank, d_input]), draw([d_output, rank]));
    let (x, upstream) = (draw([4, d_input]), draw([4, d_output]));

    let mut theirs = LinearConfig::new(d_input, d_output).with_bias(false).init(&training);
    theirs.weight = Param::from_tensor(weight.clone().transpose().autodiff());
    let theirs = theirs.apply_lora(Lora::new(rank, alpha).set_param_group(ParamGroup::all()));
    let theirs =
        theirs.map(&mut SetFactors { a: a.clone().transpose(), b: b.clone().transpose(), path: Vec::new() });

    let config = LoraConfig { rank, alpha, dropout: 0.0, ..LoraConfig::default() };
    let mut ours = adapted(d_input, d_output, &config, &plain);
    ours.base.weight = Param::from_tensor(weight);
    let adapter = ours.adapter.as_mut().unwrap();
    adapter.a = Param::from_tensor(a.autodiff());
    adapter.b = Param::from_tensor(b.autodiff());

    let close = Tolerance::absolute(1e-5);
    let y_theirs = theirs.forward(x.clone().autodiff());
    let y_ours = ours.forward(x.autodiff(), Pass::Training);
    y_ours.clone().into_data().assert_approx_eq::<f32>(&y_theirs.clone().into_data(), close);

    let burn_adapter = theirs.weight.adapter().unwrap().clone();
    let grads = (y_theirs * upstream.clone()).sum().backward();
    let grad_a = burn_adapter.a.val().grad(&grads).unwrap().transpose();
    let grad_b = burn_adapter.b.val().grad(&grads).unwrap().transpose();
    let adapter = ours.adapter.clone().unwrap();
    let grads = GradientsParams::from_grads((y_ours * upstream).sum().backward(), &ours);
    grads.get::<2>(adapter.a.id).unwrap().into_data().assert_approx_eq::<f32>(&grad_a.into_data(), close);
    grads.get::<2>(adapter.b.id).unwrap().into_data().assert_approx_eq::<f32>(&grad_b.into_data(), close);
}

#[test]
fn dropout_acts_in_training_only_and_keeps_the_mean() {
    let device = Device::flex();
    let config = LoraConfig { rank: 1, alpha: 1.0, dropout: 0.4, ..LoraConfig::default() };
    let mut linear = adapted(2000, 1, &config, &device);
    let adapter = linear.adapter.as_mut().unwrap();
    adapter.a = Param::from_tensor(Tensor::ones([1, 2000], &device));
    adapter.b = Param::from_tensor(Tensor::ones([1, 1], &device));
    let x = Tensor::<2>::ones([1, 2000], &device);
    assert_eq!(linear.forward(x.clone(), Pass::Inference).into_scalar::<f32>(), 2000.0, "inference");
    device.seed(5);
    let n_draws = 20;
    let sum: f32 = (0..n_draws).map(|_| linear.forward(x.clone(), Pass::Training).into_scalar::<f32>()).sum();
    let mean = sum / n_draws as f32;
    assert!(mean != 2000.0 && (mean - 2000.0).abs() < 40.0, "training: {mean}");
}

#[test]
fn new_adapters_replace_old_ones_and_change_nothing_yet() {
    let device = Device::flex();
    let bare = MiniGptConfig { lora: None, ..MiniGptConfig::nano() };
    let model = initialized_model(&bare, 4, Precision::F32, &device).unwrap();
    let logits = |model: &vlm_model::MiniGpt| {
        let context = model.context(&AttentionMask::full(1, 4)).unwrap();
        let embeddings = model.language_model.embed(&[1, 5, 9, 200]).unwrap().unsqueeze::<3>();
        model.language_model.logits(embeddings, &context, None).into_data()
    };
    let before = logits(&model);
    let narrow = LoraConfig { rank: 2, targets: vec![LoraTarget::KProj], ..LoraConfig::default() };
    let wide = LoraConfig { rank: 8, ..LoraConfig::default() };
    let model = with_new_adapters(model, &narrow, 7).unwrap();
    let model = with_new_adapters(model, &wide, 7).unwrap();
    assert_eq!(model.config().lora.as_ref(), Some(&wide));
    let attention = &model.language_model.layers[1].self_attn;
    assert!(attention.k_proj.adapter.is_none() && attention.v_proj.adapter.is_some());
    let adapter = attention.q_proj.adapter.as_ref().unwrap();
    assert_eq!((adapter.a.dims(), adapter.b.dims()), ([8, 192], [192, 8]));
    assert!(
        adapter.a.val().abs().min().into_scalar::<f32>() < adapter.a.val().abs().max().into_scalar::<f32>()
    );
    assert_eq!(adapter.b.val().abs().max().into_scalar::<f32>(), 0.0);
    assert_eq!(logits(&model), before);
    let impossible = LoraConfig { rank: 0, ..LoraConfig::default() };
    assert!(with_new_adapters(model, &impossible, 7).is_err());
}
