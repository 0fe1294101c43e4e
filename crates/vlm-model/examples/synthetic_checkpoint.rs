//! Writes a synthetic checkpoint in the published layout at a fraction of its width.
//!
//! `cargo run -p vlm-model --example synthetic_checkpoint -- --scale 2 --out DIR` divides every
//! width by 2: 1.95 billion parameters, 3.9 GB.

#![expect(clippy::unwrap_used, reason = "the writer is the tests'")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[path = "../tests/pth_writer/mod.rs"]
mod pth_writer;

fn main() -> io::Result<()> {
    let mut scale = 8;
    let mut folder = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (name.as_str(), value.parse()) {
            ("--scale", Ok(divisor @ (1 | 2 | 4 | 8 | 16))) => scale = divisor,
            ("--out", _) if !value.is_empty() => folder = Some(PathBuf::from(value)),
            _ => return Err(usage()),
        }
    }
    let folder = folder.ok_or_else(usage)?;
    pth_writer::layout::write_published_layout(&folder, scale)?;
    report(&folder)
}

fn usage() -> io::Error {
    io::Error::other("usage: synthetic_checkpoint --scale 1|2|4|8|16 --out DIR")
}

/// Prints the files and their sizes.
fn report(folder: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            report(&entry.path())?;
        } else {
            writeln!(io::stdout(), "{:>13} {}", entry.metadata()?.len(), entry.path().display())?;
        }
    }
    Ok(())
}
