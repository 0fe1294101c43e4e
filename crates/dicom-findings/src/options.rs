//! What a caller chooses.

use crate::error::DicomFindingsError;

/// Shortest key for anonymous UIDs.
pub(crate) const MIN_KEY_BYTES: usize = 16;

/// When an object was made, as the caller's clock has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    date: String,
    time: String,
}

impl Timestamp {
    /// A date `YYYYMMDD` and a time `HHMMSS`.
    ///
    /// # Errors
    /// [`DicomFindingsError::Text`] for anything else.
    pub fn new(date: &str, time: &str) -> Result<Self, DicomFindingsError> {
        let number = |text: &str, range: std::ops::Range<usize>| {
            let digits = text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<u32>().ok()
        };
        let is_date = date.len() == 8
            && number(date, 0..4).is_some()
            && number(date, 4..6).is_some_and(|month| (1..=12).contains(&month))
            && number(date, 6..8).is_some_and(|day| (1..=31).contains(&day));
        if !is_date {
            return Err(text_error("date", date, "YYYYMMDD"));
        }
        let is_time = time.len() == 6
            && number(time, 0..2).is_some_and(|hour| hour < 24)
            && number(time, 2..4).is_some_and(|minute| minute < 60)
            && number(time, 4..6).is_some_and(|second| second < 60);
        if !is_time {
            return Err(text_error("time", time, "HHMMSS"));
        }
        Ok(Self { date: date.to_owned(), time: time.to_owned() })
    }

    /// A time that tells nothing.
    pub(crate) fn dummy() -> Self {
        Self { date: "20000101".to_owned(), time: "000000".to_owned() }
    }

    pub(crate) fn date(&self) -> &str {
        &self.date
    }

    pub(crate) fn time(&self) -> &str {
        &self.time
    }
}

/// The program that made the findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    manufacturer: String,
    name: String,
    version: String,
}

impl Software {
    /// Manufacturer, name and version.
    ///
    /// # Errors
    /// [`DicomFindingsError::Text`] unless each has 1 to 64 printable ASCII characters without backslash.
    pub fn new(manufacturer: &str, name: &str, version: &str) -> Result<Self, DicomFindingsError> {
        let texts = [("manufacturer", manufacturer), ("software name", name), ("software version", version)];
        for (what, text) in texts {
            let is_plain = |b: u8| (b == b' ' || b.is_ascii_graphic()) && b != b'\\';
            if !(1..=64).contains(&text.len()) || !text.bytes().all(is_plain) {
                let expected = "1 to 64 printable ASCII characters without backslash";
                return Err(text_error(what, text, expected));
            }
        }
        let [manufacturer, name, version] = [manufacturer, name, version].map(str::to_owned);
        Ok(Self { manufacturer, name, version })
    }

    pub(crate) fn manufacturer(&self) -> &str {
        &self.manufacturer
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// What becomes of the patient's identity.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// Patient, study and UIDs are those of the source: the objects belong to its study.
    Keep,
    /// The Basic Application Level Confidentiality Profile of PS3.15, Annex E: patient and study attributes
    /// stay empty, dates are dummies, and every UID is replaced by one that is made from it and the key: the
    /// same key gives the same UIDs in all objects, and without the key nobody can tell which UID was there.
    /// `docs/SECURITY.md` has the table.
    Anonymize {
        /// At least 16 bytes that only the caller knows.
        key: Vec<u8>,
    },
}

impl std::fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Anonymize { .. } => "Anonymize",
        })
    }
}

/// How objects are made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// When; not in anonymous objects.
    pub created: Timestamp,
    /// By what.
    pub software: Software,
    /// For whom to see. Default [`Identity::Keep`].
    pub identity: Identity,
    /// SeriesNumber of the report; the segmentation has the next one. Default 9001.
    pub series_number: u16,
}

impl ExportOptions {
    /// With the defaults.
    #[must_use]
    pub fn new(created: Timestamp, software: Software) -> Self {
        Self { created, software, identity: Identity::Keep, series_number: 9001 }
    }
}

fn text_error(what: &'static str, text: &str, expected: &'static str) -> DicomFindingsError {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    DicomFindingsError::Text { what, got: text.chars().take(64).map(shown).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_texts_are_checked() {
        assert!(Timestamp::new("20260131", "235959").is_ok());
        for (date, time) in [
            ("2026013", "000000"),
            ("20261301", "000000"),
            ("20260100", "000000"),
            ("20260131", "240000"),
            ("20260131", "0000"),
            ("2026\u{e4}13", "000000"),
            ("+2260131", "000000"),
        ] {
            assert!(Timestamp::new(date, time).is_err(), "{date} {time}");
        }
        assert!(Software::new("someone", "findings", "0.1").is_ok());
        assert!(Software::new("", "findings", "0.1").is_err());
        assert!(Software::new("someone", "a\\b", "0.1").is_err());
    }
}
