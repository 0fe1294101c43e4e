//! A place in a store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreExt, ObjectStoreScheme, RetryConfig,
};
use tokio::runtime::Runtime;
use url::Url;

use crate::error::StoreError;
use crate::keys;
use crate::sums::{self, MAX_SUMS_BYTES, SUMS_FILE, Sums};
use crate::transfer::Transfer;

/// How a store is talked to; nothing here changes what is transferred.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Files under way at once.
    pub n_parallel: usize,
    /// How long a request is tried again where the server is not there, breaks off or says that it is busy.
    pub retry_for: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { n_parallel: 8, retry_for: Duration::from_secs(120) }
    }
}

impl StoreOptions {
    /// With so many files under way at once, at least one.
    #[must_use]
    pub fn with_parallel(mut self, n_parallel: usize) -> Self {
        self.n_parallel = n_parallel.max(1);
        self
    }

    /// With requests tried again for so long.
    #[must_use]
    pub fn with_retry_for(mut self, retry_for: Duration) -> Self {
        self.retry_for = retry_for;
        self
    }
}

/// A prefix in a bucket, or a folder.
#[derive(Debug)]
pub struct Store {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) prefix: StorePath,
    pub(crate) options: StoreOptions,
    /// Stores but `file://` keep a file's hash beside it, so that a push that was stopped knows what is there.
    pub(crate) has_metadata: bool,
    pub(crate) runtime: Runtime,
    url: String,
}

/// A file in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteFile {
    /// Path relative to the place, checked to stay below a folder.
    pub path: String,
    /// Bytes.
    pub n_bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// Its hash, where the place has a list.
    pub sha256: Option<String>,
    pub(crate) e_tag: Option<String>,
}

/// What a place holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The files, sorted by path, without the list of hashes.
    pub files: Vec<RemoteFile>,
    /// True if there is a list of hashes: a push came to its end.
    pub has_sums: bool,
}

impl Store {
    /// Opens `s3://bucket/prefix`, `gs://…`, `az://container/…` or `file:///folder`; asks nothing of the server yet.
    ///
    /// Credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
    /// `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, …; `GOOGLE_SERVICE_ACCOUNT`, …; `AZURE_STORAGE_ACCOUNT_NAME`, …).
    ///
    /// # Errors
    /// [`StoreError::Url`], [`StoreError::Open`].
    pub fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let unusable = |reason: String| StoreError::Url { url: url.to_owned(), reason };
        let parsed = Url::parse(url).map_err(|e| unusable(e.to_string()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
            // Not shown again: it may be a secret.
            return Err(StoreError::Url {
                url: format!("{}://…", parsed.scheme()),
                reason: "credentials belong into the environment, not into the URL".to_owned(),
            });
        }
        let known = ["s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "file"];
        if !known.contains(&parsed.scheme()) {
            return Err(unusable("it starts with none of s3://, gs://, az://, file://".to_owned()));
        }
        let (scheme, prefix) = ObjectStoreScheme::parse(&parsed).map_err(|e| unusable(e.to_string()))?;
        // ring's implementation; another one that the process has chosen stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed =
            |source: object_store::Error| StoreError::Open { url: url.to_owned(), source: Box::new(source) };
        let inner = connect(&scheme, url, options).map_err(failed)?;
        let inner = inner.ok_or_else(|| unusable("there is no client for it".to_owned()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|source| StoreError::Open { url: url.to_owned(), source: Box::new(source) })?;
        let has_metadata = scheme != ObjectStoreScheme::Local;
        Ok(Self { inner, prefix, options: *options, has_metadata, runtime, url: url.to_owned() })
    }

    /// What the place holds, and the hashes where there is a list of them.
    ///
    /// # Errors
    /// [`StoreError::Remote`]; [`StoreError::Empty`]; [`StoreError::Key`] for a key that cannot be a file;
    /// [`StoreError::Sums`] if the list is damaged or names a file that is not there; [`StoreError::Cancelled`].
    pub fn list(&self, transfer: &Transfer<'_>) -> Result<Listing, StoreError> {
        let listing = self.runtime.block_on(transfer.until_cancelled(self.look()))?;
        if listing.files.is_empty() {
            return Err(StoreError::Empty { place: self.url.clone() });
        }
        Ok(listing)
    }

    /// As [`list`](Self::list), also where there is nothing.
    pub(crate) async fn look(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        let mut sums = Sums::new();
        let mut found = self.inner.list(Some(&self.prefix));
        let failed = |e| StoreError::remote("list", self.prefix.as_ref())(e);
        while let Some(meta) = found.try_next().await.map_err(failed)? {
            let Some(path) = self.relative(&meta.location) else { continue };
            if path == SUMS_FILE {
                sums = self.read_sums(&meta.location, meta.size).await?;
                listing.has_sums = true;
                continue;
            }
            listing.files.push(RemoteFile {
                path,
                n_bytes: meta.size,
                modified: SystemTime::from(meta.last_modified),
                sha256: None,
                e_tag: meta.e_tag,
            });
        }
        listing.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        leave_out_folders(&mut listing.files)?;
        for file in &mut listing.files {
            keys::check(&file.path)?;
            file.sha256 = sums.remove(&file.path);
        }
        match sums.into_keys().next() {
            Some(missing) => Err(StoreError::Sums(format!("names `{missing}`, which is not there"))),
            None => Ok(listing),
        }
    }

    /// The key of a file.
    pub(crate) fn key(&self, path: &str) -> Result<StorePath, StoreError> {
        keys::check(path)?;
        let whole = if self.prefix.is_root() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        StorePath::parse(whole)
            .map_err(|_| StoreError::Key { key: path.to_owned(), reason: "is no key of a store" })
    }

    fn relative(&self, key: &StorePath) -> Option<String> {
        let rest = key.as_ref().strip_prefix(self.prefix.as_ref())?;
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        (!rest.is_empty()).then(|| rest.to_owned())
    }

    async fn read_sums(&self, key: &StorePath, n_bytes: u64) -> Result<Sums, StoreError> {
        if n_bytes > MAX_SUMS_BYTES {
            return Err(StoreError::Sums(format!("has {n_bytes} bytes, more than any that is read")));
        }
        let failed = |e| StoreError::remote("read", key.as_ref())(e);
        let got = self.inner.get(key).await.map_err(failed)?;
        sums::parse(&got.bytes().await.map_err(failed)?)
    }
}

/// Removes the empty objects that stand for folders; an object that is a folder and holds something cannot be a file.
fn leave_out_folders(files: &mut Vec<RemoteFile>) -> Result<(), StoreError> {
    let mut folders = BTreeSet::new();
    for file in &*files {
        let mut path = file.path.as_str();
        while let Some((folder, _)) = path.rsplit_once('/') {
            if !folders.insert(folder.to_owned()) {
                break;
            }
            path = folder;
        }
    }
    let is_both = |file: &RemoteFile| folders.contains(&file.path);
    if let Some(file) = files.iter().find(|file| is_both(file) && file.n_bytes > 0) {
        return Err(StoreError::Key {
            key: file.path.clone(),
            reason: "is a file and a folder in the store",
        });
    }
    files.retain(|file| !is_both(file));
    Ok(())
}

/// A whole request may take as long as its body; silence is what ends it.
const TIMEOUTS: [(ClientConfigKey, &str, &str); 2] = [
    (ClientConfigKey::Timeout, "TIMEOUT", "1 day"),
    (ClientConfigKey::ReadTimeout, "READ_TIMEOUT", "60 seconds"),
];

fn connect(
    scheme: &ObjectStoreScheme,
    url: &str,
    options: &StoreOptions,
) -> Result<Option<Arc<dyn ObjectStore>>, object_store::Error> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        // The time is the bound.
        max_retries: usize::MAX,
        retry_timeout: options.retry_for,
    };
    let unset = |provider: &str, name: &str| std::env::var_os(format!("{provider}_{name}")).is_none();
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            // The server holds each request against its hash.
            let mut builder =
                AmazonS3Builder::from_env().with_url(url).with_checksum_algorithm(Checksum::SHA256);
            for (key, name, value) in TIMEOUTS.into_iter().filter(|(_, name, _)| unset("AWS", name)) {
                let _ = name;
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url);
            for (key, _, value) in TIMEOUTS.into_iter().filter(|(_, name, _)| unset("GOOGLE", name)) {
                builder = builder.with_config(GoogleConfigKey::Client(key), value);
            }
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(url);
            for (key, _, value) in TIMEOUTS.into_iter().filter(|(_, name, _)| unset("AZURE", name)) {
                builder = builder.with_config(AzureConfigKey::Client(key), value);
            }
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        ObjectStoreScheme::Local => Some(Arc::new(LocalFileSystem::new())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_no_place_are_refused_and_secrets_are_not_shown() {
        for (url, word) in [
            ("prepared", "relative URL"),
            ("https://example.org/a", "none of"),
            ("memory:///a", "none of"),
            ("s3://key:secret@bucket/a", "environment"),
            ("s3://bucket/a?X-Amz-Signature=secret", "environment"),
        ] {
            let error = Store::open(url, &StoreOptions::default()).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn objects_that_stand_for_folders_are_left_out() {
        let file = |path: &str, n_bytes| RemoteFile {
            path: path.to_owned(),
            n_bytes,
            modified: SystemTime::UNIX_EPOCH,
            sha256: None,
            e_tag: None,
        };
        let mut files = vec![file("a", 0), file("a/b", 0), file("a/b/c", 3), file("d", 0)];
        leave_out_folders(&mut files).unwrap();
        let left: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(left, ["a/b/c", "d"]);
        let mut files = vec![file("a", 1), file("a/b", 3)];
        assert!(leave_out_folders(&mut files).is_err());
    }
}
