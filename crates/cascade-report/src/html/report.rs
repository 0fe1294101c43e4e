//! The parts of a report.

use std::path::Path;

use super::page;
use super::table::Table;
use super::target::KeyFigure;
use crate::atomic::write_text;
use crate::{ReportError, Svg};

/// A figure with the words around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The drawing.
    pub svg: Svg,
    /// What is shown, with n; stands below it.
    pub caption: String,
    /// What a reader who cannot see it needs to know.
    pub alt: String,
}

impl Figure {
    /// A figure with its words.
    pub fn new(svg: Svg, caption: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { svg, caption: caption.into(), alt: alt.into() }
    }
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// Text.
    Paragraph(String),
    /// What a reader must not overlook.
    Warning(String),
    /// A table.
    Table(Table),
    /// A figure over the whole column.
    Figure(Figure),
    /// Figures that share a row where there is room.
    FigureRow(Vec<Figure>),
    /// Parts that are folded away under a line of text. In print they are open.
    Details {
        /// The line.
        summary: String,
        /// The parts.
        blocks: Vec<Block>,
    },
}

/// A section with its heading.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    /// The heading, also in the table of contents.
    pub heading: String,
    /// Its parts, in order.
    pub blocks: Vec<Block>,
}

impl Section {
    /// A section without parts yet.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), blocks: Vec::new() }
    }

    /// Adds a part.
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Paragraph(text.into()));
        self
    }

    /// Adds a warning.
    #[must_use]
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Warning(text.into()));
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// Adds a figure over the whole column.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.blocks.push(Block::Figure(figure));
        self
    }

    /// Adds figures that share a row.
    #[must_use]
    pub fn figure_row(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        self.blocks.push(Block::FigureRow(figures.into_iter().collect()));
        self
    }

    /// Adds parts that are folded away.
    #[must_use]
    pub fn details(mut self, summary: impl Into<String>, blocks: Vec<Block>) -> Self {
        self.blocks.push(Block::Details { summary: summary.into(), blocks });
        self
    }
}

/// A report of a run: one HTML page that needs nothing else.
///
/// All text is escaped. The same report gives the same bytes. Tables and figures are numbered in
/// the order in which they stand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The title.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// What the report may be used for; the page's foot carries
    /// [`RESEARCH_NOTE`](crate::RESEARCH_NOTE) whatever stands here.
    pub note: String,
    /// The strip of numbers at the top.
    pub key_figures: Vec<KeyFigure>,
    /// Where the numbers come from: name and value, such as seed, commit, data hash.
    pub provenance: Vec<(String, String)>,
    /// The sections.
    pub sections: Vec<Section>,
}

impl Report {
    /// The report as an HTML page.
    pub fn to_html(&self) -> String {
        page::render(self)
    }

    /// Writes the page; `path` holds all of it or what it held before. Folders are made.
    ///
    /// # Errors
    /// [`ReportError::Write`] where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        write_text(path, &self.to_html())
    }
}
