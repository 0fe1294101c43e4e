//! Files of a store into a folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use object_store::{GetOptions, ObjectStore};

use crate::error::StoreError;
use crate::keys;
use crate::local::{self, Incoming};
use crate::store::{RemoteFile, Store};
use crate::transfer::{Transfer, TransferEvent, TransferReport, run_all};

/// How often a file is fetched whole again where it arrives damaged or breaks off for longer than a request is retried.
const N_TRIES: usize = 3;
/// Before it is fetched again.
const PAUSE: Duration = Duration::from_millis(500);

impl Store {
    /// Fetches files into a folder; those that are there already, with their hash or size and time, are kept.
    ///
    /// # Errors
    /// Of the first file that fails, with those before it in place: [`StoreError::Remote`], [`StoreError::Size`],
    /// [`StoreError::Hash`], [`StoreError::Local`], [`StoreError::Key`]; [`StoreError::Cancelled`].
    pub fn fetch(
        &self,
        files: &[RemoteFile],
        folder: &Path,
        transfer: &Transfer<'_>,
    ) -> Result<TransferReport, StoreError> {
        let mut report = TransferReport {
            n_files: files.len(),
            n_bytes: files.iter().map(|f| f.n_bytes).sum(),
            n_files_hashed: files.iter().filter(|f| f.sha256.is_some()).count(),
            ..TransferReport::default()
        };
        (transfer.progress)(TransferEvent::Started { n_files: report.n_files, n_bytes: report.n_bytes });
        let work = async {
            let each = files.iter().map(|file| async move {
                Ok((file.n_bytes, self.fetch_file(file, folder, transfer).await?))
            });
            run_all(each, self.options.n_parallel, |(n_bytes, was_there)| {
                (transfer.progress)(TransferEvent::FileDone);
                if was_there {
                    report.n_files_kept += 1;
                    report.n_bytes_kept += n_bytes;
                }
            })
            .await?;
            Ok(report)
        };
        self.runtime.block_on(transfer.until_cancelled(work))
    }

    /// True if the file was in place already.
    async fn fetch_file(
        &self,
        file: &RemoteFile,
        folder: &Path,
        transfer: &Transfer<'_>,
    ) -> Result<bool, StoreError> {
        keys::check(&file.path)?;
        let target = folder.join(&file.path);
        if is_in_place(file, &target, transfer)? {
            (transfer.progress)(TransferEvent::Bytes(file.n_bytes));
            return Ok(true);
        }
        let mut n_tries = 1;
        loop {
            transfer.check()?;
            match self.fetch_once(file, &target, transfer).await {
                Ok(()) => return Ok(false),
                Err(StoreError::Remote { .. } | StoreError::Size { .. } | StoreError::Hash { .. })
                    if n_tries < N_TRIES && file.n_bytes > 0 =>
                {
                    n_tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn fetch_once(
        &self,
        file: &RemoteFile,
        target: &Path,
        transfer: &Transfer<'_>,
    ) -> Result<(), StoreError> {
        let failed = |e| StoreError::remote("read", &file.path)(e);
        // Not an object that was replaced since it was listed.
        let options = GetOptions::new().with_if_match(file.e_tag.clone());
        let got = self.inner.get_opts(&self.key(&file.path)?, options).await.map_err(failed)?;
        let mut incoming = Incoming::create(target)?;
        let mut chunks = got.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            transfer.check()?;
            incoming.write(&chunk)?;
            (transfer.progress)(TransferEvent::Bytes(chunk.len() as u64));
            if incoming.n_bytes() > file.n_bytes {
                break;
            }
        }
        if incoming.n_bytes() != file.n_bytes {
            let (key, got, expected) = (file.path.clone(), incoming.n_bytes(), file.n_bytes);
            return Err(StoreError::Size { key, got, expected });
        }
        if let Some(expected) = &file.sha256 {
            let got = incoming.sha256();
            if got != *expected {
                return Err(StoreError::Hash { key: file.path.clone(), got, expected: expected.clone() });
            }
        }
        let modified = file.modified;
        // Putting a file on disk waits for the disk; other files go on meanwhile.
        let finished = tokio::task::spawn_blocking(move || incoming.finish(modified)).await;
        finished.map_err(|e| StoreError::local(target)(std::io::Error::other(e)))?
    }
}

/// A file that need not be fetched: with the hash that the store tells, else with size and time of the object.
fn is_in_place(file: &RemoteFile, target: &Path, transfer: &Transfer<'_>) -> Result<bool, StoreError> {
    let Ok(metadata) = fs_err::metadata(target) else { return Ok(false) };
    if !metadata.is_file() || metadata.len() != file.n_bytes {
        return Ok(false);
    }
    match &file.sha256 {
        Some(expected) => Ok(local::sha256(target, transfer)? == *expected),
        None => Ok(metadata.modified().is_ok_and(|time| is_same_time(time, file.modified))),
    }
}

/// Equal to the millisecond: file systems keep more or less than stores tell.
fn is_same_time(a: SystemTime, b: SystemTime) -> bool {
    a.duration_since(b).or_else(|_| b.duration_since(a)).is_ok_and(|d| d < Duration::from_millis(1))
}

/// Makes an empty file for each file of a store that the folder lacks, so that the folder's names are those of the
/// whole data set while only a share of its bytes is fetched. An empty file is replaced when it is fetched.
///
/// # Errors
/// [`StoreError::Local`], [`StoreError::Key`].
pub fn outline(files: &[RemoteFile], folder: &Path) -> Result<(), StoreError> {
    let mut made: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        keys::check(&file.path)?;
        let target = folder.join(&file.path);
        if let Some(parent) = target.parent()
            && !made.contains(parent)
        {
            fs_err::create_dir_all(parent).map_err(StoreError::local(parent))?;
            made.insert(parent.to_owned());
        }
        match fs_err::OpenOptions::new().write(true).create_new(true).open(&target) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::local(&target)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
