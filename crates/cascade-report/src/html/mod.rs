//! The report: its parts as plain data, and the page they become.

mod page;
mod page_style;
mod report;
mod table;
mod target;

pub use report::{Block, Figure, Report, Section};
pub use table::{Align, Cell, Column, Row, Table};
pub use target::{Direction, KeyFigure, Mark, Target};
