//! A folder into a store.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use futures_util::TryStreamExt;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, WriteMultipart,
};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::local::{self, LocalFile};
use crate::store::{Listing, RemoteFile, Store};
use crate::sums::{self, SUMS_FILE, Sums};
use crate::transfer::{Transfer, TransferEvent, TransferReport, run_all};

/// Files above this are sent in parts of this size, or larger ones where a store's 10,000 parts would not do.
const PART_BYTES: u64 = 8 << 20;
/// Most parts of a file; S3 takes 10,000.
const MAX_PARTS: u64 = 9_000;
/// Parts of one file under way at once.
const N_PARTS: usize = 3;
/// The name of a file's hash in its metadata.
const HASH_KEY: &str = "sha256";

impl Store {
    /// Pushes a folder; what is there with the same hash is kept. The list of hashes is written last, after a look at
    /// the sizes of all files: where it is, a push came to its end.
    ///
    /// With `replace`, what else is there is overwritten or removed, and a list of other hashes first.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] if something else is there; [`StoreError::Empty`], [`StoreError::Key`],
    /// [`StoreError::Local`], [`StoreError::Changed`] for the folder; [`StoreError::Remote`], [`StoreError::Size`]
    /// for the store; [`StoreError::Cancelled`].
    pub fn push(
        &self,
        folder: &Path,
        replace: bool,
        transfer: &Transfer<'_>,
    ) -> Result<TransferReport, StoreError> {
        let files = local::files(folder)?;
        if files.is_empty() {
            return Err(StoreError::Empty { place: folder.display().to_string() });
        }
        let n_bytes = files.iter().map(|f| f.n_bytes).sum();
        (transfer.progress)(TransferEvent::Started { n_files: files.len(), n_bytes });
        let work = self.push_files(&files, n_bytes, replace, transfer);
        self.runtime.block_on(transfer.until_cancelled(work))
    }

    async fn push_files(
        &self,
        files: &[LocalFile],
        n_bytes: u64,
        replace: bool,
        transfer: &Transfer<'_>,
    ) -> Result<TransferReport, StoreError> {
        let mut report = TransferReport {
            n_files: files.len(),
            n_bytes,
            n_files_hashed: files.len(),
            ..TransferReport::default()
        };
        let before = match self.look().await {
            // A list of hashes that is damaged, or names what is gone, is replaced like any other.
            Err(StoreError::Sums(_)) if replace => {
                self.remove(SUMS_FILE).await?;
                self.look().await?
            }
            other => other?,
        };
        self.make_room(&before, files, replace, transfer, &mut report).await?;
        let there: BTreeMap<&str, &RemoteFile> = before.files.iter().map(|f| (f.path.as_str(), f)).collect();
        let there = &there;
        let mut sums = Sums::new();
        let each = files.iter().map(|file| async move {
            let earlier = there.get(file.path.as_str()).copied();
            let (sha256, kept) = self.push_file(file, earlier, replace, transfer).await?;
            Ok((file, sha256, kept))
        });
        run_all(each, self.options.n_parallel, |(file, sha256, kept)| {
            (transfer.progress)(TransferEvent::FileDone);
            if kept {
                report.n_files_kept += 1;
                report.n_bytes_kept += file.n_bytes;
            }
            sums.insert(file.path.clone(), sha256);
        })
        .await?;
        if before.has_sums && report.n_files_kept == report.n_files && report.n_files_removed == 0 {
            return Ok(report);
        }
        check_sizes(&self.look().await?, files)?;
        let text = sums::write(&sums).into_bytes();
        let key = self.key(SUMS_FILE)?;
        let failed = |e| StoreError::remote("write", SUMS_FILE)(e);
        self.inner.put(&key, PutPayload::from(text)).await.map_err(failed)?;
        Ok(report)
    }

    /// Refuses, or removes, what is there and is not the folder's. Of a list of other hashes only the list is removed:
    /// then nobody takes files of two pushes for one.
    async fn make_room(
        &self,
        before: &Listing,
        files: &[LocalFile],
        replace: bool,
        transfer: &Transfer<'_>,
        report: &mut TransferReport,
    ) -> Result<(), StoreError> {
        let mine: BTreeMap<&str, &LocalFile> = files.iter().map(|f| (f.path.as_str(), f)).collect();
        let strange: Vec<&RemoteFile> =
            before.files.iter().filter(|f| !mine.contains_key(f.path.as_str())).collect();
        let mut differs = strange.first().map(|f| f.path.clone());
        if before.has_sums && differs.is_none() {
            // A finished push of other bytes; its hashes are known without asking.
            for file in &before.files {
                let ours = mine.get(file.path.as_str());
                let is_same = match (ours, &file.sha256) {
                    (Some(ours), Some(sha256)) if ours.n_bytes == file.n_bytes => {
                        local::sha256(&ours.absolute, transfer)? == *sha256
                    }
                    _ => false,
                };
                if !is_same {
                    differs = Some(file.path.clone());
                    break;
                }
            }
            if before.files.len() < files.len() {
                differs = differs.or_else(|| Some(SUMS_FILE.to_owned()));
            }
        }
        let Some(key) = differs else { return Ok(()) };
        if !replace {
            return Err(StoreError::Occupied { key });
        }
        if before.has_sums {
            self.remove(SUMS_FILE).await?;
        }
        for file in strange {
            transfer.check()?;
            self.remove(&file.path).await?;
            report.n_files_removed += 1;
        }
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), StoreError> {
        let failed = |e| StoreError::remote("remove", path)(e);
        self.inner.delete(&self.key(path)?).await.map_err(failed)
    }

    /// The file's hash, and true if it was there already.
    async fn push_file(
        &self,
        file: &LocalFile,
        earlier: Option<&RemoteFile>,
        replace: bool,
        transfer: &Transfer<'_>,
    ) -> Result<(String, bool), StoreError> {
        transfer.check()?;
        let sha256 = local::sha256(&file.absolute, transfer)?;
        if let Some(earlier) = earlier {
            if earlier.n_bytes == file.n_bytes && self.hash_of(earlier, transfer).await? == sha256 {
                (transfer.progress)(TransferEvent::Bytes(file.n_bytes));
                return Ok((sha256, true));
            }
            if !replace {
                return Err(StoreError::Occupied { key: file.path.clone() });
            }
        }
        let mut attributes = Attributes::new();
        if self.has_metadata {
            attributes.insert(Attribute::Metadata(HASH_KEY.into()), sha256.clone().into());
        }
        let sent = if file.n_bytes > PART_BYTES {
            self.send_parts(file, attributes, transfer).await?
        } else {
            self.send_whole(file, attributes, transfer).await?
        };
        if sent != sha256 {
            return Err(StoreError::Changed { path: file.absolute.clone() });
        }
        Ok((sha256, false))
    }

    /// The hash of a file of the store: from the list, from its metadata, or from its bytes.
    async fn hash_of(&self, file: &RemoteFile, transfer: &Transfer<'_>) -> Result<String, StoreError> {
        if let Some(listed) = &file.sha256 {
            return Ok(listed.clone());
        }
        let failed = |e| StoreError::remote("read", &file.path)(e);
        let key = self.key(&file.path)?;
        if self.has_metadata {
            let got = self.inner.get_opts(&key, GetOptions::new().with_head(true)).await.map_err(failed)?;
            if let Some(sha256) = got.attributes.get(&Attribute::Metadata(HASH_KEY.into())) {
                return Ok(sha256.as_ref().to_owned());
            }
        }
        let mut chunks = self.inner.get(&key).await.map_err(failed)?.into_stream();
        let mut hasher = Sha256::new();
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            transfer.check()?;
            hasher.update(&chunk);
        }
        Ok(local::hex(hasher))
    }

    async fn send_whole(
        &self,
        file: &LocalFile,
        attributes: Attributes,
        transfer: &Transfer<'_>,
    ) -> Result<String, StoreError> {
        let local = fs_err::File::open(&file.absolute).map_err(StoreError::local(&file.absolute))?;
        let mut bytes = Vec::new();
        // One more than there should be, so that a file that grew is noticed.
        local.take(file.n_bytes + 1).read_to_end(&mut bytes).map_err(StoreError::local(&file.absolute))?;
        let sha256 = local::hex(Sha256::new_with_prefix(&bytes));
        let n_bytes = bytes.len() as u64;
        let failed = |e| StoreError::remote("write", &file.path)(e);
        let options = PutOptions::from(attributes);
        self.inner.put_opts(&self.key(&file.path)?, bytes.into(), options).await.map_err(failed)?;
        (transfer.progress)(TransferEvent::Bytes(n_bytes));
        Ok(sha256)
    }

    async fn send_parts(
        &self,
        file: &LocalFile,
        attributes: Attributes,
        transfer: &Transfer<'_>,
    ) -> Result<String, StoreError> {
        let failed = |e| StoreError::remote("write", &file.path)(e);
        let part_bytes = usize::try_from(PART_BYTES.max(file.n_bytes / MAX_PARTS)).unwrap_or(usize::MAX);
        let options = PutMultipartOptions::from(attributes);
        let upload = self.inner.put_multipart_opts(&self.key(&file.path)?, options).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, part_bytes);
        let mut local = fs_err::File::open(&file.absolute).map_err(StoreError::local(&file.absolute))?;
        let mut hasher = Sha256::new();
        let mut left = file.n_bytes;
        let stopped = loop {
            if let Err(error) = transfer.check() {
                break Some(error);
            }
            if left == 0 {
                break None;
            }
            let mut part = Vec::new();
            let read = local.by_ref().take(part_bytes as u64).read_to_end(&mut part);
            match read {
                Err(error) => break Some(StoreError::local(&file.absolute)(error)),
                Ok(0) => break Some(StoreError::Changed { path: file.absolute.clone() }),
                Ok(n) => left = left.saturating_sub(n as u64),
            }
            hasher.update(&part);
            let n_bytes = part.len() as u64;
            if let Err(error) = upload.wait_for_capacity(N_PARTS).await {
                break Some(failed(error));
            }
            upload.put(part.into());
            (transfer.progress)(TransferEvent::Bytes(n_bytes));
        };
        if let Some(error) = stopped {
            // Parts of an upload that is never finished cost as much as a file.
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.finish().await.map_err(failed)?;
        Ok(local::hex(hasher))
    }
}

/// Every file of the folder is in the store with its size, and no other is.
fn check_sizes(after: &Listing, files: &[LocalFile]) -> Result<(), StoreError> {
    let mut found = after.files.iter();
    for file in files {
        match found.next() {
            Some(there) if there.path == file.path => {
                if there.n_bytes != file.n_bytes {
                    let (key, got, expected) = (file.path.clone(), there.n_bytes, file.n_bytes);
                    return Err(StoreError::Size { key, got, expected });
                }
            }
            Some(there) if there.path < file.path => {
                return Err(StoreError::Occupied { key: there.path.clone() });
            }
            _ => {
                return Err(StoreError::Size { key: file.path.clone(), got: 0, expected: file.n_bytes });
            }
        }
    }
    match found.next() {
        Some(there) => Err(StoreError::Occupied { key: there.path.clone() }),
        None => Ok(()),
    }
}
