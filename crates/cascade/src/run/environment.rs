//! Where a run was made, without who and on which host.

use serde::{Deserialize, Serialize};

/// `environment.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// This library and its version.
    pub program: String,
    /// Architecture and system of the build.
    pub target: String,
    /// Model of the processor, where the system tells it.
    pub cpu: Option<String>,
    /// Threads of the run.
    pub threads: usize,
    /// The device by name.
    pub device: String,
    /// Vector instructions that the processor has and that matter here.
    pub cpu_features: Vec<String>,
    /// What the build can do.
    pub build_features: Vec<String>,
}

/// Vector instructions that decide speed.
const CPU_FEATURES: [&str; 6] = ["sse4_2", "avx", "avx2", "fma", "avx512f", "neon"];

impl Environment {
    /// This process's.
    #[must_use]
    pub fn of(threads: usize, device: &str) -> Self {
        let info = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let line = |key: &str| {
            let line = info.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let flags = line("flags").or_else(|| line("Features")).unwrap_or_default();
        let has = |name: &&str| flags.split_whitespace().any(|flag| flag == *name);
        let features = [("flex", cfg!(feature = "flex")), ("cuda", cfg!(feature = "cuda"))];
        Self {
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            cpu: line("model name"),
            threads,
            device: device.to_owned(),
            cpu_features: CPU_FEATURES
                .iter()
                .filter(|name| has(name))
                .map(|name| (*name).to_owned())
                .collect(),
            build_features: features
                .iter()
                .filter(|(_, on)| *on)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
        }
    }
}
