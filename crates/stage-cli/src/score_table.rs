//! Scores of several stages side by side.

use cascade::{Evaluation, Goal};

use crate::scores::number;

const HEADER: [&str; 9] =
    ["stage", "score", "95 % interval", "floor", "goal", "blanked", "shuffled", "probe", "paper"];

/// A row a stage: its score, interval, floor and goal, the controls, the probe and the paper's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScoreTable {
    rows: Vec<[String; 9]>,
}

impl ScoreTable {
    /// A table without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage; `!` stands behind a floor or a goal that is missed.
    pub fn push(&mut self, evaluation: &Evaluation, goal: Goal) {
        let score = evaluation.score();
        let interval = evaluation.ci95().map(|[low, high]| format!("{low:.3} to {high:.3}"));
        let target = |target: Option<f64>| match target {
            Some(target) if score < target => format!("{target:.3} !"),
            target => number(target),
        };
        let control = |score: fn(&cascade::Controls) -> f64| number(evaluation.controls.as_ref().map(score));
        let paper = evaluation.paper.first();
        self.rows.push([
            evaluation.stage.title().to_owned(),
            format!("{score:.3}"),
            interval.unwrap_or_else(|| "-".to_owned()),
            target(goal.floor),
            target(goal.goal),
            control(|controls| controls.blanked.score()),
            control(|controls| controls.shuffled.score()),
            number(evaluation.probe()),
            paper.map_or_else(|| "-".to_owned(), |paper| paper.value.clone()),
        ]);
    }

    /// The lines of the table, columns aligned, header first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let header = HEADER.map(str::to_owned);
        let mut widths = [0; 9];
        let all = || std::iter::once(&header).chain(&self.rows);
        for row in all() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &[String; 9]| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        all().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = ScoreTable::new();
        table.rows.push(
            ["Pancreas box", "0.7", "-", "0.6", "0.8 !", "0.1", "0.1", "0.2", "0.59"].map(str::to_owned),
        );
        let lines = table.lines();
        assert_eq!(lines.len(), 2);
        let place = |line: &str, cell: &str| line.find(cell);
        assert_eq!(place(&lines[0], "score"), place(&lines[1], "0.7"));
        assert_eq!(place(&lines[0], "paper"), place(&lines[1], "0.59"));
    }
}
