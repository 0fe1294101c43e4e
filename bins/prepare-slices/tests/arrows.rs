//! Holds which crate may depend on which, as `docs/ARCHITECTURE.md` draws it.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Allowed normal dependencies of each crate of the workspace on others of it.
const ARROWS: &[(&str, &[&str])] = &[
    ("ct-volume", &[]),
    ("run-folder", &[]),
    ("ct-slices", &["ct-volume", "run-folder"]),
    ("ct-phantom", &["ct-volume"]),
    ("findings", &["ct-slices", "ct-volume"]),
    ("dicom-findings", &["ct-volume", "findings"]),
    ("box-segmenter", &["ct-slices", "ct-volume", "findings"]),
    ("vlm-prompt", &[]),
    ("fused-ops", &[]),
    ("vlm-model", &["fused-ops"]),
    ("vlm-train", &["fused-ops", "run-folder", "vlm-model", "vlm-prompt"]),
    ("vlm-verify", &["vlm-model", "vlm-train"]),
    ("vlm-infer", &["ct-slices", "vlm-model", "vlm-prompt"]),
    ("vlm-metrics", &["vlm-prompt"]),
    ("cascade-report", &[]),
    (
        "cascade",
        &[
            "cascade-report",
            "ct-phantom",
            "ct-slices",
            "ct-volume",
            "dicom-findings",
            "findings",
            "run-folder",
            "vlm-infer",
            "vlm-metrics",
            "vlm-model",
            "vlm-prompt",
            "vlm-train",
        ],
    ),
    ("nano-pretrain", &["ct-phantom", "ct-slices", "vlm-infer", "vlm-model", "vlm-prompt", "vlm-train"]),
    ("chat-api", &["ct-phantom", "ct-slices", "ct-volume", "vlm-prompt"]),
    ("bin-support", &[]),
    ("dataset-store", &[]),
    ("mpi-ranks", &["vlm-train"]),
    ("stage-cli", &["bin-support", "cascade", "ct-slices", "mpi-ranks", "vlm-model", "vlm-train"]),
    (
        "prepare-slices",
        &["bin-support", "ct-phantom", "ct-slices", "ct-volume", "dataset-store", "run-folder"],
    ),
    ("model-tool", &["bin-support", "vlm-infer", "vlm-model", "vlm-prompt", "vlm-verify"]),
    ("detect-pancreas", &["cascade", "stage-cli"]),
    ("classify-tumor", &["cascade", "stage-cli"]),
    ("detect-tumor", &["cascade", "stage-cli"]),
    ("detect-organs", &["cascade", "stage-cli"]),
    ("run-cascade", &["bin-support", "cascade", "nano-pretrain", "stage-cli", "vlm-model"]),
    (
        "predict-study",
        &[
            "bin-support",
            "box-segmenter",
            "cascade",
            "dicom-findings",
            "findings",
            "run-folder",
            "stage-cli",
            "vlm-model",
        ],
    ),
    (
        "chat-server",
        &[
            "bin-support",
            "cascade",
            "chat-api",
            "ct-slices",
            "ct-volume",
            "dicom-findings",
            "findings",
            "vlm-infer",
            "vlm-model",
            "vlm-prompt",
        ],
    ),
    ("benches", &[]),
    (
        "hard",
        &[
            "bin-support",
            "cascade",
            "chat-api",
            "ct-phantom",
            "ct-slices",
            "ct-volume",
            "vlm-model",
            "vlm-prompt",
            "vlm-train",
        ],
    ),
];

/// What groups of crates never reach, directly or through others.
const NEVER: &[(&[&str], &[&str])] = &[
    (
        &[
            "ct-volume",
            "ct-slices",
            "ct-phantom",
            "prepare-slices",
            "findings",
            "dicom-findings",
            "box-segmenter",
        ],
        &["burn", "burn-core", "burn-tensor", "cubecl", "tokenizers"],
    ),
    (&["vlm-prompt", "vlm-metrics"], &["burn", "burn-core", "burn-tensor", "cubecl"]),
    (&["vlm-prompt"], &["ndarray"]),
    (&["vlm-model", "vlm-train", "vlm-verify"], &["nifti", "dicom-core"]),
    (&["vlm-model"], &["tokenizers"]),
];

/// What no crate of the workspace reaches as it is built by default: clients of a network.
const NEVER_BY_ANY: &[&str] =
    &["reqwest", "ureq", "hyper-rustls", "hyper-tls", "hickory-resolver", "object_store", "rustls"];
/// The one feature that reaches some of them, and the crates that it does so for.
const CLIENT_FEATURE: &str = "prepare-slices/object-store";
const WITH_CLIENT: &[&str] = &["dataset-store", "prepare-slices"];
/// What the chat, and the suite that attacks it, alone reach: a server.
const ONLY_BY_CHAT: &[&str] = &["hyper", "axum"];

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        // What was needed to build this test is there; crates of other platforms need not be.
        .other_options(["--offline", "--locked", "--filter-platform", &host()].map(str::to_owned))
        .exec()
        .expect("cargo metadata of the workspace");
    let members: BTreeSet<String> =
        metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    let drawn: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members, drawn, "every crate of the workspace is on the map, and no other");
    for (name, allowed) in ARROWS {
        let package = metadata.workspace_packages().into_iter().find(|p| p.name.as_str() == *name).unwrap();
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Normal && members.contains(&dependency.name) {
                assert!(
                    allowed.contains(&dependency.name.as_str()),
                    "{name} must not depend on {}",
                    dependency.name
                );
            }
        }
    }

    let every: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let others: Vec<&str> =
        every.iter().copied().filter(|name| !["chat-api", "chat-server", "hard"].contains(name)).collect();
    let groups = [(every.as_slice(), NEVER_BY_ANY), (others.as_slice(), ONLY_BY_CHAT)];
    for (roots, banned) in NEVER.iter().copied().chain(groups) {
        let names = reached(&metadata, roots);
        assert!(names.len() > roots.len() + 5, "the walk from {roots:?} reaches real dependencies");
        for crate_name in banned {
            assert!(!names.contains(*crate_name), "{roots:?} must not reach {crate_name}");
        }
    }
}

#[test]
fn one_feature_reaches_a_network_client_for_two_crates() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        // Crates of the feature may not be there yet.
        .other_options(
            ["--locked", "--filter-platform", &host(), "--features", CLIENT_FEATURE].map(str::to_owned),
        )
        .exec()
        .expect("cargo metadata of the workspace with the feature");
    for name in WITH_CLIENT {
        let names = reached(&metadata, &[name]);
        assert!(names.contains("object_store") && names.contains("reqwest"), "{name} has the client");
        // Nothing that needs more than the C compiler, and no second implementation of cryptography.
        for banned in ["aws-lc-sys", "openssl-sys", "native-tls"] {
            assert!(!names.contains(banned), "{name} must not reach {banned}");
        }
    }
    for (name, _) in ARROWS.iter().filter(|(name, _)| !WITH_CLIENT.contains(name)) {
        let names = reached(&metadata, &[name]);
        for banned in NEVER_BY_ANY {
            assert!(!names.contains(*banned), "{name} must not reach {banned}");
        }
    }
    // No other feature of the workspace leads there.
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let leads = |feature: &String| feature.contains("dataset-store") || feature.contains("object_store");
        let features = package.features.iter().filter(|(_, on)| on.iter().any(leads)).map(|(name, _)| name);
        let expected: &[&str] = match name {
            "prepare-slices" => &["object-store"],
            "dataset-store" => &["client"],
            _ => &[],
        };
        assert_eq!(features.collect::<Vec<_>>(), expected, "{name}");
    }
}

/// Names of all crates that these reach through normal dependencies, themselves included.
fn reached(metadata: &Metadata, roots: &[&str]) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("resolved dependencies");
    let name_of: BTreeMap<_, _> =
        metadata.packages.iter().map(|p| (p.id.clone(), p.name.to_string())).collect();
    let packages = metadata.workspace_packages();
    let mut todo: Vec<_> =
        packages.iter().filter(|p| roots.contains(&p.name.as_str())).map(|p| p.id.clone()).collect();
    assert_eq!(todo.len(), roots.len(), "{roots:?} are in the workspace");
    let mut reached = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !reached.insert(id.clone()) {
            continue;
        }
        let node = resolve.nodes.iter().find(|n| n.id == id).expect("every package is resolved");
        let normal =
            |d: &&cargo_metadata::NodeDep| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
        todo.extend(node.deps.iter().filter(normal).map(|d| d.pkg.clone()));
    }
    reached.iter().map(|id| name_of[id].clone()).collect()
}

/// The target triple that `rustc` builds for here.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("-vV").output().expect("rustc tells its version");
    let text = String::from_utf8(output.stdout).expect("a version in UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host line").to_owned()
}
