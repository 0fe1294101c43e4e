//! The small files beside an index: a split, and a table of labels for images that are there already.

use std::path::Path;

use ct_slices::index::{IndexLimits, SplitFile, read_image_csv};
use ct_slices::pixels::encode_gray;
use ndarray::Array2;
use rand::RngExt;
use tempfile::TempDir;

use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::{Random, damage_bytes, one_of};
use crate::inputs::mutate_text::{damage_json, damage_lines};

/// One of the two.
pub(super) struct Table {
    name: &'static str,
    file: &'static str,
    seeds: Vec<Vec<u8>>,
    folder: TempDir,
    damage: fn(&mut Random, &mut Vec<u8>),
    read: fn(&Path) -> String,
}

impl Table {
    pub(super) fn split() -> anyhow::Result<Self> {
        let names = |range: std::ops::Range<u32>| range.map(|n| format!("pancreas_{n:03}")).collect();
        let split = SplitFile::new("MSD", Some(42), "80/20", names(1..9), names(9..12));
        Ok(Self {
            name: "split-json",
            file: "split.json",
            seeds: vec![serde_json::to_vec(&split)?],
            folder: tempfile::tempdir()?,
            damage: damage_json,
            read: |path| outcome(&SplitFile::read(path)),
        })
    }

    pub(super) fn labels() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = encode_gray(Array2::from_elem((9, 7), 3_u8).view())?;
        for name in ["a.png", "b.png", "c.png"] {
            fs_err::write(folder.path().join(name), &image)?;
        }
        let text = "file,source,patient,slice_index,answer\na.png,MSD,p1,0,yes\nb.png,MSD,p1,1,no\nc.png,NIH,\"p 2\",7,no\n";
        Ok(Self {
            name: "labels-csv",
            file: "labels.csv",
            seeds: vec![text.as_bytes().to_vec()],
            folder,
            damage: |random, bytes| damage_lines(random, bytes, &damage_cell),
            read: |path| {
                let images = path.parent().unwrap_or(path);
                outcome(&read_image_csv(path, images, &IndexLimits::default()))
            },
        })
    }
}

/// Another cell in a line, one more, or one less.
fn damage_cell(random: &mut Random, line: &mut Vec<u8>) {
    const CELLS: [&str; 16] = [
        "",
        "-1",
        "4294967295",
        "18446744073709551616",
        "NaN",
        "../../etc/passwd",
        "/etc/passwd",
        "a.png",
        "missing.png",
        "yes",
        "maybe",
        "\"",
        "\"a\"\"b\"",
        "\u{0}",
        "🙂",
        "answer",
    ];
    let text = String::from_utf8_lossy(line).into_owned();
    let mut cells: Vec<&str> = text.split(',').collect();
    let n = random.random_range(0..cells.len());
    match random.random_range(0..6) {
        0 => drop(cells.remove(n)),
        1 => cells.insert(n, one_of(random, &CELLS)),
        _ => cells[n] = one_of(random, &CELLS),
    }
    *line = cells.join(",").into_bytes();
}

impl Format for Table {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = self.seeds[seed].clone();
        if random.random_bool(0.8) {
            (self.damage)(random, &mut bytes);
        } else {
            let header = bytes.len();
            damage_bytes(random, &mut bytes, header);
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        let path = self.folder.path().join(self.file);
        fs_err::write(&path, bytes).map_err(|error| error.to_string())?;
        Ok((self.read)(&path))
    }
}
