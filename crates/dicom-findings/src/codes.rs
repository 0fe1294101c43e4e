//! Coded concepts: of the standard, and of entities.

use std::borrow::Cow;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use findings::Entity;

use crate::data_set::DataSet;
use crate::uid::hash;

/// A coded concept (PS3.3, 8.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    value: Cow<'static, str>,
    scheme: &'static str,
    meaning: Cow<'static, str>,
}

impl Code {
    pub(crate) const fn new(value: &'static str, scheme: &'static str, meaning: &'static str) -> Self {
        Self { value: Cow::Borrowed(value), scheme, meaning: Cow::Borrowed(meaning) }
    }

    pub(crate) const fn dcm(value: &'static str, meaning: &'static str) -> Self {
        Self::new(value, "DCM", meaning)
    }

    pub(crate) const fn sct(value: &'static str, meaning: &'static str) -> Self {
        Self::new(value, "SCT", meaning)
    }

    pub(crate) fn item(&self) -> DataSet {
        let mut item = DataSet::new();
        item.text(tags::CODE_VALUE, VR::SH, &self.value);
        item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, self.scheme);
        item.text(tags::CODE_MEANING, VR::LO, &self.meaning);
        item
    }
}

/// Scheme of entities that have no code here (PS3.3, 8.2: private schemes begin with 99).
const PRIVATE_SCHEME: &str = "99MGPTPANCREAS";
const PANCREAS: Code = Code::sct("15776009", "Pancreas");
const NEOPLASM: Code = Code::sct("108369006", "Neoplasm");
const ANATOMICAL_STRUCTURE: Code = Code::sct("91723000", "Anatomical Structure");

/// How an entity is coded.
#[derive(Clone, Debug)]
pub(crate) struct EntityCodes {
    /// The finding of a report.
    pub(crate) finding: Code,
    /// Where it is.
    pub(crate) site: Option<Code>,
    pub(crate) laterality: Option<Code>,
    /// Category and type of a segment.
    pub(crate) category: Code,
    pub(crate) property: Code,
}

impl EntityCodes {
    pub(crate) fn of(entity: &Entity) -> Self {
        let organ = |code: Code| Self {
            finding: code.clone(),
            site: Some(code.clone()),
            laterality: None,
            category: ANATOMICAL_STRUCTURE,
            property: code,
        };
        match entity.name() {
            "pancreas" => organ(PANCREAS),
            "liver" => organ(Code::sct("10200004", "Liver")),
            "spleen" => organ(Code::sct("78961009", "Spleen")),
            "right kidney" => {
                let right = Some(Code::sct("24028007", "Right"));
                Self { laterality: right, ..organ(Code::sct("64033007", "Kidney")) }
            }
            "pancreatic tumor" => Self {
                finding: NEOPLASM,
                site: Some(PANCREAS),
                laterality: None,
                category: Code::sct("49755003", "Morphologically Abnormal Structure"),
                property: NEOPLASM,
            },
            name => {
                let digest = hash("entity", &[name.as_bytes()]);
                let value = digest[..6].iter().map(|byte| format!("{byte:02X}")).collect::<String>();
                let code = Code {
                    value: Cow::Owned(value),
                    scheme: PRIVATE_SCHEME,
                    meaning: Cow::Owned(name.to_owned()),
                };
                Self { site: None, ..organ(code) }
            }
        }
    }
}
