//! What a voxel of a phantom is made of.

/// The structure at a voxel's centre; one per voxel, so labels cannot overlap.
///
/// The number of a variant is its value in the label volume of
/// [`generate_patient`](crate::generate_patient); files use the numbers of their layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum PhantomLabel {
    /// Air, table, and what is outside the scanner's circle.
    Background = 0,
    /// Liver with its vessels.
    Liver = 1,
    /// Kidney on the patient's right.
    RightKidney = 2,
    /// Kidney on the patient's left.
    LeftKidney = 3,
    /// Spleen.
    Spleen = 4,
    /// Pancreas without tumour; with its duct and, in healthy patients, its bulge.
    Pancreas = 5,
    /// Tumour in or on the pancreas.
    Tumor = 6,
    /// Stomach, wall and content.
    Stomach = 7,
    /// Duodenum, wall and content.
    Duodenum = 8,
    /// Small bowel, wall and content.
    SmallBowel = 9,
    /// Colon, wall and content.
    Colon = 10,
    /// Gallbladder.
    Gallbladder = 11,
    /// Aorta.
    Aorta = 12,
    /// Inferior vena cava.
    VenaCava = 13,
    /// Superior mesenteric, splenic, portal, renal and small veins.
    Vein = 14,
    /// Celiac trunk, superior mesenteric, splenic, hepatic, renal and small arteries.
    Artery = 15,
    /// Vertebrae with discs and spinal canal.
    Spine = 16,
    /// Ribs and their cartilage.
    Rib = 17,
    /// Lung.
    Lung = 18,
    /// Muscle and diaphragm.
    Muscle = 19,
    /// Fat.
    Fat = 20,
    /// Skin.
    Skin = 21,
    /// Adrenal glands.
    Adrenal = 22,
    /// Heart.
    Heart = 23,
}

impl PhantomLabel {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::Background,
        Self::Liver,
        Self::RightKidney,
        Self::LeftKidney,
        Self::Spleen,
        Self::Pancreas,
        Self::Tumor,
        Self::Stomach,
        Self::Duodenum,
        Self::SmallBowel,
        Self::Colon,
        Self::Gallbladder,
        Self::Aorta,
        Self::VenaCava,
        Self::Vein,
        Self::Artery,
        Self::Spine,
        Self::Rib,
        Self::Lung,
        Self::Muscle,
        Self::Fat,
        Self::Skin,
        Self::Adrenal,
        Self::Heart,
    ];

    /// The value in a label volume.
    #[must_use]
    pub fn value(self) -> u16 {
        u16::from(self as u8)
    }

    /// The label of a value of a phantom's label volume, if it is one.
    #[must_use]
    pub fn from_value(value: u16) -> Option<Self> {
        Self::ALL.get(usize::from(value)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_positions() {
        for (n, label) in PhantomLabel::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(label.value()), n);
            assert_eq!(PhantomLabel::from_value(label.value()), Some(label));
        }
        assert_eq!(PhantomLabel::from_value(24), None);
    }
}
