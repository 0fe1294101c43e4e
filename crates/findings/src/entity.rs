//! What a box is of.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::FindingsError;

const MAX_NAME: usize = 48;

/// What a box is of: one of the known structures, or any other name.
///
/// Names are lower-case English as the model's questions have them. Serialized as the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Entity(Cow<'static, str>);

impl Entity {
    /// The pancreas with its tumor, if any.
    pub const PANCREAS: Self = Self(Cow::Borrowed("pancreas"));
    /// A pancreatic tumor.
    pub const PANCREATIC_TUMOR: Self = Self(Cow::Borrowed("pancreatic tumor"));
    /// The liver.
    pub const LIVER: Self = Self(Cow::Borrowed("liver"));
    /// The right kidney.
    pub const RIGHT_KIDNEY: Self = Self(Cow::Borrowed("right kidney"));
    /// The spleen.
    pub const SPLEEN: Self = Self(Cow::Borrowed("spleen"));

    /// The known ones; the place of each, from 1, is its label in masks.
    pub const KNOWN: [Self; 5] =
        [Self::PANCREAS, Self::PANCREATIC_TUMOR, Self::LIVER, Self::RIGHT_KIDNEY, Self::SPLEEN];

    /// An entity of any name; a known name gives the known entity.
    ///
    /// # Errors
    /// [`FindingsError::EntityName`] for an empty name, one above 48 characters, or one with other than
    /// printable ASCII characters or with a backslash: names become codes, labels and file contents.
    pub fn new(name: impl Into<String>) -> Result<Self, FindingsError> {
        let name = name.into();
        let is_plain = |b: u8| (b == b' ' || b.is_ascii_graphic()) && b != b'\\';
        let fits = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain) && name.trim() == name;
        if fits {
            Ok(Self(Cow::Owned(name)))
        } else {
            let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
            Err(FindingsError::EntityName { name: name.chars().take(MAX_NAME).map(shown).collect() })
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// True for [`PANCREATIC_TUMOR`](Self::PANCREATIC_TUMOR).
    #[must_use]
    pub fn is_tumor(&self) -> bool {
        *self == Self::PANCREATIC_TUMOR
    }

    /// The label in masks of a known entity.
    #[must_use]
    pub fn known_label(&self) -> Option<u16> {
        let place = Self::KNOWN.iter().position(|known| known == self)?;
        u16::try_from(place + 1).ok()
    }

    /// Labels in masks: the known entities have theirs (1 pancreas, 2 pancreatic tumor, 3 liver, 4 right
    /// kidney, 5 spleen) whether they occur or not, others take 6, 7 … in the order of their names.
    #[must_use]
    pub fn labels<'a>(entities: impl IntoIterator<Item = &'a Self>) -> BTreeMap<Self, u16> {
        let all: BTreeSet<&Self> = entities.into_iter().collect();
        let others = all.iter().filter(|entity| entity.known_label().is_none());
        let others: BTreeMap<&Self, u16> = others.copied().zip(6..).collect();
        all.into_iter()
            .filter_map(|entity| {
                let label = entity.known_label().or_else(|| others.get(entity).copied())?;
                Some((entity.clone(), label))
            })
            .collect()
    }
}

/// The color, RGB, in which a label is drawn; told apart also by the color blind (Okabe and Ito).
pub(crate) fn color_of(label: u16) -> [u8; 3] {
    const COLORS: [[u8; 3]; 7] = [
        [240, 228, 66],  // pancreas: yellow
        [255, 60, 40],   // pancreatic tumor: red
        [86, 180, 233],  // liver: sky blue
        [0, 190, 130],   // right kidney: green
        [204, 121, 167], // spleen: purple
        [230, 159, 0],
        [120, 150, 255],
    ];
    COLORS[usize::from(label.saturating_sub(1)) % COLORS.len()]
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Entity {
    type Error = FindingsError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<Entity> for String {
    fn from(entity: Entity) -> Self {
        entity.0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_known_names_are_known() {
        assert_eq!(Entity::new("pancreatic tumor").unwrap(), Entity::PANCREATIC_TUMOR);
        assert_eq!(Entity::new("pancreatic tumor").unwrap().known_label(), Some(2));
        for name in ["", " liver", "a\\b", "a\nb", "Leber\u{e4}", &"x".repeat(49)] {
            assert!(matches!(Entity::new(name), Err(FindingsError::EntityName { .. })), "{name:?}");
        }
    }

    #[test]
    fn labels_of_others_follow_the_known_ones() {
        let [cyst, aorta] = ["cyst", "aorta"].map(|name| Entity::new(name).unwrap());
        let labels = Entity::labels([&cyst, &Entity::SPLEEN, &aorta, &cyst]);
        assert_eq!(labels, BTreeMap::from([(Entity::SPLEEN, 5), (aorta, 6), (cyst, 7)]));
    }
}
