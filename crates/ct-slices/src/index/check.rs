//! What must hold within one record.

use super::record::{IndexRecord, OrganRecord};
use crate::bbox::BoxPx;
use crate::organ::Organ;

/// Longest name of a dataset, patient or volume, and of an image's path, in bytes.
const MAX_NAME_BYTES: usize = 256;
const MAX_PATH_BYTES: usize = 1024;
/// Longest side of an image, as PNG readers here take it.
const MAX_SIDE_PX: u32 = 32_768;

/// Why a path in an index is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathProblem {
    /// Empty, or longer than any real one.
    #[error("it is empty or longer than {MAX_PATH_BYTES} bytes")]
    Length,
    /// Starts at the root or at a drive.
    #[error("it is absolute")]
    Absolute,
    /// Has a part that is empty, `.` or `..`.
    #[error("it has an empty, `.` or `..` part")]
    Part,
    /// Has a backslash or a control character.
    #[error("it has a backslash or a control character")]
    Character,
}

/// A value of a record that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProblem {
    /// Written in a form that this version does not know.
    #[error("schema_version is {got}, expected {expected}", expected = IndexRecord::SCHEMA_VERSION)]
    SchemaVersion {
        /// What it is.
        got: u32,
    },
    /// A name that is empty, too long, or has control characters.
    #[error("`{field}` is empty, longer than {MAX_NAME_BYTES} bytes, or has control characters")]
    Name {
        /// The field.
        field: &'static str,
    },
    /// A path that leads out of the index's folder, or might.
    #[error("`{field}` is not a path within the index's folder: {problem}")]
    Path {
        /// The field.
        field: &'static str,
        /// Why not.
        problem: PathProblem,
    },
    /// A hash that is not 64 lower-case hexadecimal digits.
    #[error("`{field}` is not 64 lower-case hexadecimal digits")]
    Hash {
        /// The field.
        field: &'static str,
    },
    /// A slice number outside its volume.
    #[error("`{field}` is {index} in a volume of {slice_count} slices")]
    SliceIndex {
        /// The field.
        field: &'static str,
        /// The number.
        index: u32,
        /// Slices of the volume.
        slice_count: u32,
    },
    /// A neighbor that is not next to the slice.
    #[error("`{field}` is {got}, not next to slice {slice_index}")]
    Neighbor {
        /// The field.
        field: &'static str,
        /// What it is.
        got: u32,
        /// The slice.
        slice_index: u32,
    },
    /// An image without pixels, or larger than any.
    #[error("image of {width}x{height} pixels: each side must be 1 to {MAX_SIDE_PX}")]
    Size {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A spacing that is not finite and above 0.
    #[error("spacing_mm is {spacing_mm:?}, expected finite numbers above 0")]
    Spacing {
        /// What it is.
        spacing_mm: [f64; 3],
    },
    /// A box whose edges are out of order or off the image.
    #[error("box {bbox:?} of `{what}` is not inside the image of {width}x{height} pixels")]
    BoxOutside {
        /// The organ, or `crop`.
        what: &'static str,
        /// The box.
        bbox: [u32; 4],
        /// Columns of the image.
        width: u32,
        /// Rows of the image.
        height: u32,
    },
    /// An organ that has pixels and no box, or a box and no pixels.
    #[error("organ `{organ}` has {pixels} pixels and {} box", if *has_box { "a" } else { "no" })]
    BoxWithoutPixels {
        /// The organ.
        organ: Organ,
        /// Its pixels.
        pixels: u64,
        /// True if there is a box.
        has_box: bool,
    },
    /// More pixels than the box or the image holds, or than the volume's largest.
    #[error("organ `{organ}` has {pixels} pixels, more than {limit} ({why})")]
    TooManyPixels {
        /// The organ.
        organ: Organ,
        /// Its pixels.
        pixels: u64,
        /// The most there can be.
        limit: u64,
        /// Where the limit comes from.
        why: &'static str,
    },
    /// A ratio outside 0 to 1.
    #[error("{field} of organ `{organ}` is {got}, expected 0 to 1")]
    Ratio {
        /// The organ.
        organ: Organ,
        /// The field.
        field: &'static str,
        /// What it is.
        got: f64,
    },
    /// Tasks out of order, or one twice.
    #[error("tasks are not sorted and distinct")]
    Tasks,
}

impl IndexRecord {
    /// The form that this version reads and writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Checks all that must hold within one record.
    ///
    /// # Errors
    /// The first [`RecordProblem`].
    pub fn check(&self) -> Result<(), RecordProblem> {
        self.check_form()?;
        self.check_values()
    }

    /// The part of [`check`](Self::check) that a reader depends on: version, names, paths, hashes.
    pub(crate) fn check_form(&self) -> Result<(), RecordProblem> {
        if self.schema_version != Self::SCHEMA_VERSION {
            return Err(RecordProblem::SchemaVersion { got: self.schema_version });
        }
        for (field, name) in
            [("dataset", &self.dataset), ("patient", &self.patient), ("volume", &self.volume)]
        {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
                return Err(RecordProblem::Name { field });
            }
        }
        for (field, path) in [
            ("image", &self.image),
            ("neighbors.previous_image", &self.neighbors.previous_image),
            ("neighbors.next_image", &self.neighbors.next_image),
        ] {
            if let Some(path) = path {
                check_path(path).map_err(|problem| RecordProblem::Path { field, problem })?;
            }
        }
        for (field, hash) in [
            ("pixels_sha256", &self.pixels_sha256),
            ("source_sha256", &self.source_sha256),
            ("mask_sha256", &self.mask_sha256),
        ] {
            let is_hex =
                |h: &String| h.len() == 64 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if hash.as_ref().is_some_and(|h| !is_hex(h)) {
                return Err(RecordProblem::Hash { field });
            }
        }
        Ok(())
    }

    /// The rest of [`check`](Self::check): numbers and boxes. An audit reports these as findings.
    pub(crate) fn check_values(&self) -> Result<(), RecordProblem> {
        let slice_count = self.slice_count;
        if self.slice_index >= slice_count {
            return Err(RecordProblem::SliceIndex {
                field: "slice_index",
                index: self.slice_index,
                slice_count,
            });
        }
        self.check_neighbors()?;
        let (width, height) = (self.width, self.height);
        if !(1..=MAX_SIDE_PX).contains(&width) || !(1..=MAX_SIDE_PX).contains(&height) {
            return Err(RecordProblem::Size { width, height });
        }
        if let Some(spacing_mm) = self.spacing_mm
            && !spacing_mm.iter().all(|mm| mm.is_finite() && *mm > 0.0)
        {
            return Err(RecordProblem::Spacing { spacing_mm });
        }
        if let Some(crop) = self.crop {
            // A crop is given in pixels of the slice, whose size the record does not hold.
            check_box("crop", crop, u32::MAX, u32::MAX)?;
        }
        for (&organ, record) in &self.organs {
            self.check_organ(organ, record)?;
        }
        if !self.tasks.is_sorted_by(|a, b| a < b) {
            return Err(RecordProblem::Tasks);
        }
        Ok(())
    }

    fn check_neighbors(&self) -> Result<(), RecordProblem> {
        let sides = [
            ("neighbors.previous", self.neighbors.previous, self.slice_index.checked_sub(1)),
            ("neighbors.next", self.neighbors.next, self.slice_index.checked_add(1)),
        ];
        for (field, neighbor, expected) in sides {
            let Some(got) = neighbor else { continue };
            if got >= self.slice_count {
                let slice_count = self.slice_count;
                return Err(RecordProblem::SliceIndex { field, index: got, slice_count });
            }
            if Some(got) != expected {
                return Err(RecordProblem::Neighbor { field, got, slice_index: self.slice_index });
            }
        }
        Ok(())
    }

    fn check_organ(&self, organ: Organ, record: &OrganRecord) -> Result<(), RecordProblem> {
        let &OrganRecord { pixels, bbox, pixels_ratio, bbox_ratio, max_pixels, .. } = record;
        if let Some(bbox) = bbox {
            // Boxes are in pixels of the slice; only without a crop is that the image.
            let (width, height) =
                if self.crop.is_none() { (self.width, self.height) } else { (u32::MAX, u32::MAX) };
            check_box(organ.name(), bbox, width, height)?;
        }
        if bbox.is_some() != (pixels > 0) {
            return Err(RecordProblem::BoxWithoutPixels { organ, pixels, has_box: bbox.is_some() });
        }
        if pixels > max_pixels {
            let why = "the volume's largest slice";
            return Err(RecordProblem::TooManyPixels { organ, pixels, limit: max_pixels, why });
        }
        // The box of a kidney is that of one of two, its pixels are of both (SPEC 1.10): only the
        // whole image bounds the count.
        let image_pixels = u64::from(self.width) * u64::from(self.height);
        if self.crop.is_none() && pixels > image_pixels {
            let why = "the image's pixels";
            return Err(RecordProblem::TooManyPixels { organ, pixels, limit: image_pixels, why });
        }
        for (field, got) in [("pixels_ratio", pixels_ratio), ("bbox_ratio", bbox_ratio)] {
            if !(0.0..=1.0).contains(&got) {
                return Err(RecordProblem::Ratio { organ, field, got });
            }
        }
        Ok(())
    }
}

fn check_box(what: &'static str, bbox: BoxPx, width: u32, height: u32) -> Result<(), RecordProblem> {
    if bbox.is_inside(width, height) {
        Ok(())
    } else {
        Err(RecordProblem::BoxOutside { what, bbox: bbox.into(), width, height })
    }
}

/// Checks that a path stays below the folder it is joined to, on every system.
pub(crate) fn check_path(path: &str) -> Result<(), PathProblem> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Err(PathProblem::Length);
    }
    if path.starts_with('/') || path.as_bytes().get(1) == Some(&b':') {
        return Err(PathProblem::Absolute);
    }
    if path.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(PathProblem::Character);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PathProblem::Part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        let check = |path: &str, expected: Result<(), PathProblem>| {
            assert_eq!(check_path(path), expected, "{path:?}");
        };
        check("images/a.png", Ok(()));
        check("..a/b..png", Ok(()));
        check("", Err(PathProblem::Length));
        check(&"a".repeat(1025), Err(PathProblem::Length));
        check("/etc/passwd", Err(PathProblem::Absolute));
        check("C:/a.png", Err(PathProblem::Absolute));
        check("../a.png", Err(PathProblem::Part));
        check("a/../../b.png", Err(PathProblem::Part));
        check("a//b.png", Err(PathProblem::Part));
        check("./a.png", Err(PathProblem::Part));
        check("a\\..\\b.png", Err(PathProblem::Character));
        check("a\0b", Err(PathProblem::Character));
    }
}
