//! Where a model runs: the one place that turns a name into a device.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::ModelError;

/// A device by name: `auto`, `cpu` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first CUDA device where one is found, else the CPU.
    #[default]
    Auto,
    /// The CPU backend (feature `flex`).
    Cpu,
    /// A CUDA device by index (feature `cuda`).
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the backend is not compiled in or the device is not found.
    pub fn open(self) -> Result<Device, ModelError> {
        match self {
            Self::Auto => match cuda(0) {
                Ok(device) => Ok(device),
                Err(_) => cpu(),
            },
            Self::Cpu => cpu(),
            Self::Cuda(index) => cuda(index),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| unavailable(name, "expected `auto`, `cpu` or `cuda:N`".to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

fn unavailable(asked: &str, reason: String) -> ModelError {
    ModelError::Device { asked: asked.to_owned(), reason }
}

#[cfg(feature = "flex")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature `flex` it fails")]
fn cpu() -> Result<Device, ModelError> {
    Ok(Device::flex())
}

#[cfg(not(feature = "flex"))]
fn cpu() -> Result<Device, ModelError> {
    Err(unavailable("cpu", "this build has no CPU backend (feature `flex`)".to_owned()))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, ModelError> {
    use burn::tensor::DeviceType;
    let asked = format!("cuda:{index}");
    // Enumerating only opens the driver; creating a device without one would panic at first use.
    let found = Device::enumerate(DeviceType::Cuda).into_vec().len();
    if index >= found {
        return Err(unavailable(&asked, format!("{found} CUDA devices were found")));
    }
    Ok(Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<Device, ModelError> {
    Err(unavailable(&format!("cuda:{index}"), "this build has no CUDA backend (feature `cuda`)".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
        }
    }

    #[test]
    #[cfg(feature = "flex")]
    fn auto_and_cpu_open() {
        assert!(DeviceChoice::Auto.open().is_ok());
        assert!(!DeviceChoice::Cpu.open().unwrap().is_autodiff());
        assert!(DeviceChoice::Cuda(4096).open().is_err());
    }
}
