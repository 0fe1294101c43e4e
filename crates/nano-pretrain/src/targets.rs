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
    /// Whether the language phase asks for it. The cascade's own targets are left to the cascade.
    pub is_asked: bool,
}

impl Structure {
    /// Structures that the tower draws and places.
    pub const ALL: [Self; 10] = [
        Self::of("liver", &[PhantomLabel::Liver], 60, true),
        Self::of("right kidney", &[PhantomLabel::RightKidney], 40, true),
        Self::of("spleen", &[PhantomLabel::Spleen], 40, true),
        Self::of("pancreas", &[PhantomLabel::Pancreas, PhantomLabel::Tumor], 40, false),
        Self::of("pancreatic tumor", &[PhantomLabel::Tumor], 12, false),
        Self::of("left kidney", &[PhantomLabel::LeftKidney], 40, true),
        Self::of("stomach", &[PhantomLabel::Stomach], 40, true),
        Self::of("aorta", &[PhantomLabel::Aorta], 12, true),
        Self::of("gallbladder", &[PhantomLabel::Gallbladder], 20, true),
        Self::of("spine", &[PhantomLabel::Spine], 40, true),
    ];

    const fn of(
        name: &'static str,
        labels: &'static [PhantomLabel],
        min_pixels: usize,
        is_asked: bool,
    ) -> Self {
        Self { name, labels, min_pixels, is_asked }
    }

    /// Whether a label value belongs to it.
    #[must_use]
    pub fn holds(&self, value: u8) -> bool {
        self.labels.iter().any(|label| label.value() == u16::from(value))
    }

    /// The box `[x_min, y_min, x_max, y_max]` in pixels, half-open, and the pixels of the structure
    /// in a square image of `size`; none if too few are shown.
    #[must_use]
    pub fn place(&self, labels: &[u8], size: usize) -> Option<[usize; 4]> {
        let (mut n, mut found) = (0, [usize::MAX, usize::MAX, 0, 0]);
        for (row, line) in labels.chunks_exact(size).enumerate() {
            for (col, value) in line.iter().enumerate() {
                if self.holds(*value) {
                    n += 1;
                    let [x_min, y_min, x_max, y_max] = found;
                    found = [x_min.min(col), y_min.min(row), x_max.max(col + 1), y_max.max(row + 1)];
                }
            }
        }
        // The limits are for 128 px; they go with the area.
        (n * 128 * 128 >= self.min_pixels * size * size).then_some(found)
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
        assert_eq!(Structure::ALL[0].place(&labels, 128), Some([30, 10, 38, 20]));
        assert_eq!(Structure::ALL[1].place(&labels, 128), None);
        labels[10 * 128 + 30..].fill(0);
        assert_eq!(Structure::ALL[0].place(&labels, 128), None);
    }
}
