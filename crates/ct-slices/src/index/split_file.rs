//! `split.json`: which patients of a dataset are for training and which are held out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ct_volume::{VolumeError, write_atomic};
use fs_err::File;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::record::SplitPart;
use crate::hex::hex;

/// The split file's name within the index's folder.
pub const SPLIT_FILE_NAME: &str = "split.json";

const SCHEMA_VERSION: u32 = 1;
/// Far above the 1,112 patients of the largest dataset here.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// One split of one dataset, shared by all stages (SPEC section 6, D8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFile {
    /// Version of this form; 1.
    pub schema_version: u32,
    /// Short name of the dataset, as in the index.
    pub dataset: String,
    /// Seed of the shuffle; null if the rule draws nothing.
    pub seed: Option<u64>,
    /// How the parts were made, in words.
    pub rule: String,
    /// Patients for training, in the order of the rule.
    pub train: Vec<String>,
    /// Patients held out, in the order of the rule.
    pub test: Vec<String>,
    /// [`content_sha256`](Self::content_sha256) when it was written.
    pub sha256: String,
}

/// Why a split file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitFileError {
    /// The operating system would not read it.
    #[error("cannot read split `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Larger than any split.
    #[error("split `{}` has {got} bytes, above the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        got: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Not the JSON of a split.
    #[error("`{}` is not a split file", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A split that contradicts itself.
    #[error("split `{}` cannot be used", path.display())]
    Problem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SplitProblem,
    },
    /// The operating system would not write it.
    #[error("cannot write split")]
    Write(#[source] Box<VolumeError>),
}

/// How a split contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitProblem {
    /// Written in a form that this version does not know.
    #[error("schema_version is {got}, expected {SCHEMA_VERSION}")]
    SchemaVersion {
        /// What it is.
        got: u32,
    },
    /// A patient listed twice, in one part or in both.
    #[error("patient `{patient}` is listed twice")]
    PatientTwice {
        /// Who.
        patient: String,
    },
    /// A name that the hash could not tell apart from two.
    #[error("a name is empty or has control characters")]
    Name,
    /// Edited after it was written.
    #[error("sha256 is `{stored}`, but the lists give `{actual}`")]
    Hash {
        /// What the file says.
        stored: String,
        /// What its lists give.
        actual: String,
    },
}

impl SplitFile {
    /// A split with its hash.
    #[must_use]
    pub fn new(dataset: &str, seed: Option<u64>, rule: &str, train: Vec<String>, test: Vec<String>) -> Self {
        let mut split = Self {
            schema_version: SCHEMA_VERSION,
            dataset: dataset.to_owned(),
            seed,
            rule: rule.to_owned(),
            train,
            test,
            sha256: String::new(),
        };
        split.sha256 = split.content_sha256();
        split
    }

    /// SHA-256, in hexadecimal, of the lines `DATASET`, then `train<tab>PATIENT` and
    /// `test<tab>PATIENT` in listed order, each with its line feed. Seed and rule are left out: two
    /// ways to the same lists are the same split.
    #[must_use]
    pub fn content_sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.dataset.as_bytes());
        hash.update(b"\n");
        for (part, patients) in [("train", &self.train), ("test", &self.test)] {
            for patient in patients {
                hash.update(format!("{part}\t{patient}\n").as_bytes());
            }
        }
        hex(&hash.finalize())
    }

    /// Checks version, names, that no patient is listed twice, and the hash.
    ///
    /// # Errors
    /// The first [`SplitProblem`].
    pub fn verify(&self) -> Result<(), SplitProblem> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(SplitProblem::SchemaVersion { got: self.schema_version });
        }
        let names = || self.train.iter().chain(&self.test);
        let is_usable = |name: &String| !name.is_empty() && !name.chars().any(char::is_control);
        if !is_usable(&self.dataset) || !names().all(is_usable) {
            return Err(SplitProblem::Name);
        }
        let mut sorted: Vec<_> = names().collect();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SplitProblem::PatientTwice { patient: pair[0].clone() });
        }
        let actual = self.content_sha256();
        if self.sha256 != actual {
            return Err(SplitProblem::Hash { stored: self.sha256.chars().take(64).collect(), actual });
        }
        Ok(())
    }

    /// The part of every listed patient.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<&str, SplitPart> {
        let train = self.train.iter().map(|p| (p.as_str(), SplitPart::Train));
        let test = self.test.iter().map(|p| (p.as_str(), SplitPart::Test));
        train.chain(test).collect()
    }

    /// Reads a split and [verifies](Self::verify) it.
    ///
    /// # Errors
    /// [`SplitFileError::Read`], [`SplitFileError::TooLarge`], [`SplitFileError::Json`], and
    /// [`SplitFileError::Problem`] for one that contradicts itself.
    pub fn read(path: &Path) -> Result<Self, SplitFileError> {
        use std::io::Read;
        let failed = |source| SplitFileError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let got = bytes.len() as u64;
        if got > MAX_FILE_BYTES {
            return Err(SplitFileError::TooLarge { path: path.to_owned(), got, limit: MAX_FILE_BYTES });
        }
        let split: Self = serde_json::from_slice(&bytes)
            .map_err(|source| SplitFileError::Json { path: path.to_owned(), source })?;
        split.verify().map_err(|source| SplitFileError::Problem { path: path.to_owned(), source })?;
        Ok(split)
    }

    /// Writes a split, whole or not at all, after [verifying](Self::verify) it.
    ///
    /// # Errors
    /// [`SplitFileError::Problem`], [`SplitFileError::Json`], [`SplitFileError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), SplitFileError> {
        self.verify().map_err(|source| SplitFileError::Problem { path: path.to_owned(), source })?;
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| SplitFileError::Json { path: path.to_owned(), source })?;
        bytes.push(b'\n');
        write_atomic(path, &bytes).map_err(|error| SplitFileError::Write(Box::new(error)))
    }
}
