//! What a slice shows, from its labels.

use ct_phantom::PhantomLabel;

/// A structure that has a mask and a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    /// Its name in prompts.
    pub name: &'static str,
    /// The labels that it is made of.
    pub labels: &'static [PhantomLabel],
    /// Fewest pixels at 128 px with which it counts as shown.
    pub min_pixels: usize,
    /// How often it is asked for, against the others.
    pub weight: usize,
    /// The structure, by its place in [`Structure::ALL`], that a slice must show for this one to be asked for
    /// with the answer no.
    pub asked_within: Option<usize>,
}

impl Structure {
    /// Structures that the tower draws and places.
    pub const ALL: [Self; 10] = [
        Self::of("liver", &[PhantomLabel::Liver], 60, 2, None),
        Self::of("right kidney", &[PhantomLabel::RightKidney], 40, 2, None),
        Self::of("spleen", &[PhantomLabel::Spleen], 40, 2, None),
        Self::of("pancreas", &[PhantomLabel::Pancreas, PhantomLabel::Tumor], 40, 4, None),
        Self::of("pancreatic tumor", &[PhantomLabel::Tumor], 12, 8, Some(Self::PANCREAS)),
        Self::of("left kidney", &[PhantomLabel::LeftKidney], 40, 1, None),
        Self::of("stomach", &[PhantomLabel::Stomach], 40, 1, None),
        Self::of("aorta", &[PhantomLabel::Aorta], 12, 1, None),
        Self::of("gallbladder", &[PhantomLabel::Gallbladder], 20, 1, None),
        Self::of("spine", &[PhantomLabel::Spine], 40, 1, None),
    ];
    /// Place of the pancreas in [`Structure::ALL`].
    pub const PANCREAS: usize = 3;
    /// Place of the tumor.
    pub const TUMOR: usize = 4;

    const fn of(
        name: &'static str,
        labels: &'static [PhantomLabel],
        min_pixels: usize,
        weight: usize,
        asked_within: Option<usize>,
    ) -> Self {
        Self { name, labels, min_pixels, weight, asked_within }
    }

    /// Whether a label value belongs to it.
    #[must_use]
    pub fn holds(&self, value: u8) -> bool {
        self.labels.iter().any(|label| label.value() == u16::from(value))
    }

    /// The box `[x_min, y_min, x_max, y_max]` in pixels, half-open; none if too few pixels of the
    /// structure are shown.
    #[must_use]
    pub fn place(&self, shown: &LabelBoxes) -> Option<[usize; 4]> {
        let (mut n, mut joined) = (0, NOWHERE);
        for label in self.labels {
            let Some((n_pixels, place)) = shown.labels.get(usize::from(label.value())) else { continue };
            n += n_pixels;
            let [x_min, y_min, x_max, y_max] = joined;
            joined = [x_min.min(place[0]), y_min.min(place[1]), x_max.max(place[2]), y_max.max(place[3])];
        }
        // The limits are for 128 px; they go with the area.
        (n * 128 * 128 >= self.min_pixels * shown.size * shown.size).then_some(joined)
    }
}

/// A box that any other is larger than.
const NOWHERE: [usize; 4] = [usize::MAX, usize::MAX, 0, 0];

/// Pixels and box of every label in a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelBoxes {
    size: usize,
    labels: [(usize, [usize; 4]); PhantomLabel::ALL.len()],
}

impl LabelBoxes {
    /// Looks through the labels of a square slice.
    #[must_use]
    pub fn of(labels: &[u8], size: usize) -> Self {
        let mut found = [(0, NOWHERE); PhantomLabel::ALL.len()];
        for (row, line) in labels.chunks_exact(size).enumerate() {
            for (col, value) in line.iter().enumerate() {
                if let Some((n, place)) = found.get_mut(usize::from(*value)) {
                    *n += 1;
                    let [x_min, y_min, x_max, y_max] = *place;
                    *place = [x_min.min(col), y_min.min(row), x_max.max(col + 1), y_max.max(row + 1)];
                }
            }
        }
        Self { size, labels: found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_half_open_and_small_structures_do_not_count() {
        let mut labels = vec![0; 128 * 128];
        for row in 10..20 {
            for col in 30..38 {
                labels[row * 128 + col] = 1;
            }
        }
        assert_eq!(Structure::ALL[0].place(&LabelBoxes::of(&labels, 128)), Some([30, 10, 38, 20]));
        assert_eq!(Structure::ALL[1].place(&LabelBoxes::of(&labels, 128)), None);
        labels[10 * 128 + 30..].fill(0);
        assert_eq!(Structure::ALL[0].place(&LabelBoxes::of(&labels, 128)), None);
    }
}
