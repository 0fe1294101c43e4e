//! The one table of everything that was tried.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// One line of the table: a kind of input or of fault, how often it was tried, and what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was tried.
    pub what: String,
    /// How often.
    pub tried: u64,
    /// How often it went wrong: panics of inputs; lost samples or half files of faults.
    pub bad: u64,
    /// What [`bad`](Self::bad) counts, in a word or two.
    pub bad_is: String,
    /// The slowest one, in seconds.
    pub worst_seconds: Option<f64>,
    /// The one that took most memory, in bytes above what was held before.
    pub worst_bytes: Option<u64>,
    /// What a reader of the table should know: each bad one by name, counts by outcome.
    pub notes: Vec<String>,
}

/// How many of all rows went wrong: what decides the exit code.
#[must_use]
pub fn n_bad(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.bad).sum()
}

/// The table for people: aligned columns, then the notes of rows that have some.
///
/// # Panics
/// Never: a string takes what is written.
#[must_use]
pub fn to_text(rows: &[Row]) -> String {
    let head = ["what", "tried", "bad", "worst time", "worst memory"].map(str::to_owned);
    let lines: Vec<[String; 5]> = std::iter::once(head)
        .chain(rows.iter().map(|row| {
            [
                row.what.clone(),
                row.tried.to_string(),
                format!("{} {}", row.bad, row.bad_is),
                row.worst_seconds.map(seconds).unwrap_or_default(),
                row.worst_bytes.map(mebibytes).unwrap_or_default(),
            ]
        }))
        .collect();
    let widths: Vec<usize> =
        (0..5).map(|n| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut one = String::new();
        for (n, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Names and what is counted to the left, numbers to the right.
            match n {
                0 | 2 => write!(one, "{cell:<width$}  "),
                _ => write!(one, "{cell:>width$}  "),
            }
            .expect("a string takes what is written");
        }
        text.push_str(one.trim_end());
        text.push('\n');
    }
    for row in rows {
        for note in &row.notes {
            writeln!(text, "{}: {note}", row.what).expect("a string takes what is written");
        }
    }
    text
}

/// The same as one JSON document, for pipelines.
///
/// # Panics
/// Never: rows are plain data.
#[must_use]
pub fn to_json(rows: &[Row]) -> String {
    serde_json::to_string_pretty(rows).expect("rows are plain data")
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_reads_back() {
        let rows = vec![
            Row {
                what: "gzip".into(),
                tried: 10_000,
                bad_is: "panics".into(),
                worst_seconds: Some(0.0123),
                worst_bytes: Some(3 << 20),
                ..Row::default()
            },
            Row {
                what: "a kill".into(),
                tried: 3,
                bad: 1,
                bad_is: "half files".into(),
                notes: vec!["x".into()],
                ..Row::default()
            },
        ];
        let text = to_text(&rows);
        let expected = "what    tried  bad           worst time  worst memory\n\
                        gzip    10000  0 panics         12.3 ms       3.0 MiB\n\
                        a kill      3  1 half files\n\
                        a kill: x\n";
        assert_eq!(text, expected);
        assert_eq!(n_bad(&rows), 1);
        assert_eq!(serde_json::from_str::<Vec<Row>>(&to_json(&rows)).unwrap(), rows);
    }
}
