//! `TensorBoard`'s event files.
//!
//! A file is a row of `TFRecord`s, each a `tensorflow.Event` of `tensorflow/core/util/event.proto`
//! with the summaries of `tensorflow/core/framework/summary.proto`:
//!
//! ```text
//! u64 length, u32 masked crc32c of these 8 bytes, data, u32 masked crc32c of the data
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::TrainError;
use crate::atomic::io_error;

/// The file's name in a run folder. `TensorBoard` looks for `tfevents` in names.
pub const EVENTS_FILE: &str = "events.out.tfevents.0.run";

/// Largest record that is read.
const MAX_RECORD: u64 = 1 << 20;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// A number of an event file.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarEvent {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// Steps done.
    pub step: i64,
    /// What it is, `train/loss` for one.
    pub tag: String,
    /// The number.
    pub value: f32,
}

/// An event file that is written to.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: fs_err::File,
    n_bytes: u64,
}

impl EventFile {
    /// Goes on after the first `n_bytes` of a file, or begins one.
    pub(crate) fn open(path: &Path, n_bytes: u64) -> Result<Self, TrainError> {
        let file = super::metrics::open_cut(path, n_bytes)?;
        let mut events = Self { path: path.to_owned(), file, n_bytes };
        if n_bytes == 0 {
            let file_version = Some("brain.Event:2".to_owned());
            events.put(&Event { wall_time: now(), file_version, ..Event::default() })?;
        }
        Ok(events)
    }

    /// Writes numbers of one step.
    pub(crate) fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let value = values.iter().map(|(tag, value)| {
            #[expect(clippy::cast_possible_truncation, reason = "the format holds f32")]
            let value = *value as f32;
            SummaryValue { tag: (*tag).to_owned(), simple_value: Some(value) }
        });
        let summary = Some(Summary { value: value.collect() });
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.put(&Event { wall_time: now(), step, file_version: None, summary })
    }

    /// Bytes written, after making sure that they are on disk.
    pub(crate) fn sync(&mut self) -> Result<u64, TrainError> {
        self.file.sync_data().map_err(io_error(&self.path))?;
        Ok(self.n_bytes)
    }

    fn put(&mut self, event: &Event) -> Result<(), TrainError> {
        let record = frame(&event.encode_to_vec());
        self.file.write_all(&record).map_err(io_error(&self.path))?;
        self.n_bytes += record.len() as u64;
        Ok(())
    }
}

/// Negative before 1970, where clocks without a battery may stand. Not zero: protobuf leaves zeros out, and the size of
/// the file, which is part of checkpoints, must not tell the time.
fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or_else(|before| -before.duration().as_secs_f64(), |time| time.as_secs_f64())
}

fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

/// crc32c, rotated and shifted so that a checksum of data with checksums is no special case
/// (`tensorflow/core/lib/hash/crc32c.h`).
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// All numbers of an event file, in order.
///
/// # Errors
/// [`TrainError::Io`], and [`TrainError::Log`] if a record is cut short or its checksum is wrong.
pub fn read_events(path: &Path) -> Result<Vec<ScalarEvent>, TrainError> {
    let bytes = fs_err::read(path).map_err(io_error(path))?;
    let mut scalars = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let at = (bytes.len() - rest.len()) as u64;
        let damaged = |expected| TrainError::Log { path: path.to_owned(), got: at, expected };
        let (event, after) = take_record(rest).ok_or_else(|| damaged(bytes.len() as u64))?;
        rest = after;
        for value in event.summary.unwrap_or_default().value {
            scalars.push(ScalarEvent {
                wall_time: event.wall_time,
                step: event.step,
                tag: value.tag,
                value: value.simple_value.unwrap_or(f32::NAN),
            });
        }
    }
    Ok(scalars)
}

fn take_record(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let checksum = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    let (length, rest) = bytes.split_at_checked(8)?;
    let (length_crc, rest) = rest.split_at_checked(4)?;
    let n = u64::from_le_bytes(length.try_into().ok()?);
    if n > MAX_RECORD || checksum(length_crc)? != masked_crc(length) {
        return None;
    }
    let (data, rest) = rest.split_at_checked(usize::try_from(n).ok()?)?;
    let (data_crc, rest) = rest.split_at_checked(4)?;
    if checksum(data_crc)? != masked_crc(data) {
        return None;
    }
    Some((Event::decode(data).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_masked_as_tensorflow_does() {
        // crc32c of 32 zeros is 8a9136aa (RFC 3720, B.4)
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        // ((crc >> 15) | (crc << 17)) + a282ead8, by hand
        assert_eq!(masked_crc(&[0; 32]), 0x0fd7_fffa);
    }

    #[test]
    fn a_record_has_tensorflows_bytes() {
        let event =
            Event { wall_time: 1.0, step: 3, file_version: Some("brain.Event:2".to_owned()), summary: None };
        let mut expected = vec![0x09];
        expected.extend(1.0_f64.to_le_bytes());
        expected.extend([0x10, 3, 0x1a, 13]);
        expected.extend(b"brain.Event:2");
        assert_eq!(event.encode_to_vec(), expected);
        let record = frame(&expected);
        assert_eq!(record.len(), expected.len() + 16);
        assert_eq!(take_record(&record).unwrap(), (event, &[][..]));
    }

    #[test]
    fn files_are_cut_continued_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENTS_FILE);
        let mut file = EventFile::open(&path, 0).unwrap();
        file.scalars(1, &[("train/loss", 2.5), ("train/lr", 1e-5)]).unwrap();
        let n_bytes = file.sync().unwrap();
        file.scalars(2, &[("train/loss", 2.0)]).unwrap();
        drop(file);
        let mut file = EventFile::open(&path, n_bytes).unwrap();
        file.scalars(2, &[("train/loss", 1.5)]).unwrap();
        let read = read_events(&path).unwrap();
        let got: Vec<_> = read.iter().map(|one| (one.step, one.tag.as_str(), one.value)).collect();
        assert_eq!(got, [(1, "train/loss", 2.5), (1, "train/lr", 1e-5), (2, "train/loss", 1.5)]);
        assert!(read.iter().all(|one| one.wall_time > 1e9));
        let good = fs_err::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs_err::write(&path, bad).unwrap();
            assert!(read_events(&path).is_err(), "byte {at}");
        }
        fs_err::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(read_events(&path).is_err());
        assert!(matches!(EventFile::open(&path, good.len() as u64), Err(TrainError::Log { .. })));
    }
}
