//! The text of a header to fields, not yet looked at.

use std::io::BufRead;

use super::error::{NrrdError, excerpt};

/// Longest header that is read; those of large segmentations have some 100 KiB.
const MAX_BYTES: u64 = 4 << 20;
/// The fields that matter here; others, keys (`key:=value`) and comments are ignored.
#[rustfmt::skip]
const KNOWN: [&str; 14] = [
    "dimension", "type", "sizes", "encoding", "endian", "space", "space directions", "space origin",
    "space units", "spacings", "kinds", "byte skip", "line skip", "data file",
];

/// What a header says, field by field.
#[derive(Debug)]
pub(super) struct Fields {
    values: Vec<(&'static str, String)>,
    /// Where the voxels of an attached header begin.
    pub(super) len: u64,
}

impl Fields {
    /// Reads to the first empty line; a detached header may also end with its file.
    pub(super) fn parse(input: impl BufRead) -> Result<Self, NrrdError> {
        let mut input = input.take(MAX_BYTES);
        let mut fields = Self { values: Vec::new(), len: 0 };
        let mut bytes = Vec::new();
        for is_first in std::iter::once(true).chain(std::iter::repeat(false)) {
            bytes.clear();
            fields.len += input.read_until(b'\n', &mut bytes)? as u64;
            let line = String::from_utf8_lossy(bytes.trim_ascii_end());
            let is_magic = matches!(line.strip_prefix("NRRD000"), Some("1" | "2" | "3" | "4" | "5"));
            match (is_first, &line[..]) {
                (true, _) if is_magic => {}
                (true, found) => return Err(NrrdError::Magic { found: excerpt(found) }),
                (_, "") => break,
                (_, line) if line.starts_with('#') => {}
                (_, line) => fields.add(line)?,
            }
        }
        let is_complete =
            bytes.ends_with(b"\n") || (fields.len < MAX_BYTES && fields.get("data file").is_some());
        is_complete.then_some(fields).ok_or(NrrdError::Missing { field: "empty line at the end" })
    }

    fn add(&mut self, line: &str) -> Result<(), NrrdError> {
        let no_colon = || NrrdError::malformed("header line", line, "a field, a key or a comment");
        let (name, value) = line.split_once(':').ok_or_else(no_colon)?;
        // Case and spaces do not count in the library that defines the format.
        fn letters(name: &str) -> impl Iterator<Item = u8> {
            name.bytes().filter(|&b| b != b' ').map(|b| b.to_ascii_lowercase())
        }
        let same = |known: &&str| letters(known).eq(letters(name));
        let Some(field) = KNOWN.into_iter().find(same).filter(|_| !value.starts_with('=')) else {
            return Ok(());
        };
        if self.get(field).is_some() {
            return Err(NrrdError::Duplicate { field });
        }
        self.values.push((field, value.trim().to_owned()));
        Ok(())
    }

    pub(super) fn get(&self, field: &'static str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == field).map(|(_, value)| &value[..])
    }

    pub(super) fn need(&self, field: &'static str) -> Result<&str, NrrdError> {
        self.get(field).ok_or(NrrdError::Missing { field })
    }

    /// One value for each of `n` axes.
    pub(super) fn per_axis<'a, T>(
        &'a self,
        field: &'static str,
        n: usize,
        parse: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, NrrdError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let parsed: Option<Vec<T>> = value.split_whitespace().take(n + 1).map(parse).collect();
        let parsed = parsed.filter(|all| all.len() == n);
        parsed.map(Some).ok_or_else(|| NrrdError::malformed(field, value, "one value for each axis"))
    }

    /// Vectors such as `(0,0.8,0)`, and `none`, `n` of them.
    pub(super) fn vectors(
        &self,
        field: &'static str,
        n: usize,
    ) -> Result<Option<Vec<Option<[f64; 3]>>>, NrrdError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let parsed = vectors(value, n).filter(|all| all.len() == n);
        parsed.map(Some).ok_or_else(|| NrrdError::malformed(field, value, "vectors of 3 numbers"))
    }
}

fn vectors(value: &str, n: usize) -> Option<Vec<Option<[f64; 3]>>> {
    let (mut all, mut rest) = (Vec::new(), value);
    while !rest.is_empty() && all.len() <= n {
        let (vector, after) = if let Some(after) = rest.strip_prefix("none") {
            (None, after)
        } else {
            let (inside, after) = rest.strip_prefix('(')?.split_once(')')?;
            let mut numbers = inside.splitn(3, ',').map(|number| number.trim().parse().ok());
            (Some([numbers.next()??, numbers.next()??, numbers.next()??]), after)
        };
        all.push(vector);
        rest = after.trim_start();
    }
    Some(all)
}
