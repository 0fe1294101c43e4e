//! Which parameters learn.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::MiniGpt;

/// The parameters that get gradients; all others stay off the autodiff graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainable {
    /// None: inference. Nothing records a graph.
    Nothing,
    /// The adapters and the projector: the published training (SPEC 3.9, 56.6 million).
    AdaptersAndProjector,
    /// Everything, as small models are trained from scratch.
    Everything,
}

impl Trainable {
    /// Whether the parameter at this module path learns.
    fn includes(self, path: &[String]) -> bool {
        match self {
            Self::Nothing => false,
            Self::AdaptersAndProjector => {
                path.first().is_some_and(|name| name == "projector")
                    || path.iter().any(|name| name == "adapter")
            }
            Self::Everything => true,
        }
    }
}

impl MiniGpt {
    /// This model with exactly these parameters learning.
    ///
    /// Frozen parameters are moved off the autodiff device, so that what is computed from them
    /// alone keeps no graph: the vision tower runs as in inference.
    #[must_use]
    pub fn with_trainable(self, trainable: Trainable) -> Self {
        self.map(&mut SetTrainable { trainable, path: Vec::new() })
    }
}

struct SetTrainable {
    trainable: Trainable,
    path: Vec<String>,
}

impl ModuleMapper for SetTrainable {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let learns = self.trainable.includes(&self.path);
        if !learns && !param.is_initialized() {
            // Nothing to move, and mapping it would take memory for a part that was never loaded.
            return param.set_require_grad(false);
        }
        param
            .map(|tensor| {
                let tensor = tensor.without_autodiff();
                if learns { tensor.autodiff().require_grad() } else { tensor }
            })
            .set_require_grad(learns)
    }
}
