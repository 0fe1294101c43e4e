//! A finished figure.

use std::fmt;
use std::path::Path;

use crate::ReportError;
use crate::atomic::write_text;
use crate::style::STYLE;

/// A figure as one SVG document. Only this crate's figures make one, so it holds no script, no
/// reference to anything outside and no unescaped text.
#[derive(Clone, PartialEq, Eq)]
pub struct Svg {
    document: String,
}

impl Svg {
    pub(crate) fn new(document: String) -> Self {
        Self { document }
    }

    /// The document, ready to be written to a `.svg` file.
    pub fn as_str(&self) -> &str {
        &self.document
    }

    /// Writes the document; `path` holds all of it or what it held before. Folders are made.
    ///
    /// # Errors
    /// [`ReportError::Write`] where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        write_text(path, &self.document)
    }

    /// The document without its style element, for a page that has the style once.
    pub(crate) fn without_style(&self) -> String {
        self.document.replacen(&format!("<style>{}</style>", &*STYLE), "", 1)
    }
}

impl fmt::Debug for Svg {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Svg({} bytes)", self.document.len())
    }
}
