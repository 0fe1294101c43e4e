//! From a report to HTML.

use super::page_style::PAGE_STYLE;
use super::report::{Block, Figure, Report};
use super::table::{Align, Cell, Table};
use super::target::{KeyFigure, Mark};
use crate::RESEARCH_NOTE;
use crate::style::STYLE;
use crate::text::{decimal, escape};

/// Deeper folds than this are named and not shown, so that no input can exhaust the stack.
const MAX_DEPTH: usize = 8;

/// The page so far, and the numbers given out.
#[derive(Debug, Default)]
struct Page {
    html: String,
    n_figures: usize,
    n_tables: usize,
}

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page::default();
    page.head(report);
    page.add("<main id=\"content\">\n");
    page.key_figures(&report.key_figures);
    for (place, section) in report.sections.iter().enumerate() {
        let id = place + 1;
        let heading = escape(&section.heading);
        page.add(&format!(
            "<section aria-labelledby=\"section-{id}\">\n<h2 id=\"section-{id}\">{heading}</h2>\n"
        ));
        for block in &section.blocks {
            page.block(block, 0);
        }
        page.add("</section>\n");
    }
    page.provenance(&report.provenance);
    page.add("</main>\n</div>\n<footer><p>");
    let note = escape(&report.note);
    if !note.is_empty() && report.note != RESEARCH_NOTE {
        page.add(&format!("{note}</p>\n<p>"));
    }
    page.add(&format!("<strong>{RESEARCH_NOTE}</strong></p></footer>\n</body>\n</html>\n"));
    page.html
}

impl Page {
    fn add(&mut self, html: &str) {
        self.html.push_str(html);
    }

    fn head(&mut self, report: &Report) {
        let title = escape(&report.title);
        // The policy makes the browser hold what the page promises: no script, nothing from outside.
        self.add(&format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
             style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>{}</style>\n<style>{PAGE_STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#content\">Skip to content</a>\n<header>\n<h1>{title}</h1>\n",
            &*STYLE
        ));
        if !report.subtitle.is_empty() {
            self.add(&format!("<p class=\"subtitle\">{}</p>\n", escape(&report.subtitle)));
        }
        let note = if report.note.is_empty() { RESEARCH_NOTE } else { &report.note };
        self.add(&format!(
            "<p class=\"note\" role=\"note\">{}</p>\n</header>\n<div class=\"page\">\n",
            escape(note)
        ));
        self.add("<nav aria-label=\"Contents\">\n<p>Contents</p>\n<ol>\n");
        for (place, section) in report.sections.iter().enumerate() {
            let (id, heading) = (place + 1, escape(&section.heading));
            self.add(&format!("<li><a href=\"#section-{id}\">{heading}</a></li>\n"));
        }
        if !report.provenance.is_empty() {
            self.add("<li><a href=\"#provenance\">Provenance</a></li>\n");
        }
        self.add("</ol>\n</nav>\n");
    }

    fn key_figures(&mut self, figures: &[KeyFigure]) {
        if figures.is_empty() {
            return;
        }
        self.add("<section class=\"strip\" aria-label=\"Key figures\">\n<ul>\n");
        for figure in figures {
            let mark = figure.target.judge(figure.value);
            let decimals = figure.decimals.min(12);
            let number = |value: f64| escape(&decimal(value, decimals));
            let class = mark.map_or("plain", |mark| mark.parts().0);
            self.add(&format!(
                "<li class=\"{class}\"><span class=\"label\">{}</span>",
                escape(&figure.label)
            ));
            self.add(&format!("<span class=\"value\">{}</span>", number(figure.value)));
            if let Some((low, high)) = figure.ci95 {
                let interval = format!("95 % CI {} to {}", number(low), number(high));
                self.add(&format!("<span class=\"detail\">{interval}</span>"));
            }
            let bounds = [("floor", figure.target.floor), ("goal", figure.target.goal)];
            let bounds: Vec<String> = bounds
                .into_iter()
                .filter_map(|(name, bound)| bound.map(|bound| format!("{name} {}", number(bound))))
                .collect();
            if !bounds.is_empty() {
                self.add(&format!("<span class=\"detail\">{}</span>", bounds.join(" · ")));
            }
            if let Some(mark) = mark {
                let words = mark.words(figure.target.direction);
                let words = if figure.value.is_finite() { words } else { "not measured" };
                self.add(&badge(mark, words));
            }
            if !figure.note.is_empty() {
                self.add(&format!("<span class=\"detail\">{}</span>", escape(&figure.note)));
            }
            self.add("</li>\n");
        }
        self.add("</ul>\n</section>\n");
    }

    fn block(&mut self, block: &Block, depth: usize) {
        match block {
            Block::Paragraph(text) => self.add(&format!("<p>{}</p>\n", escape(text))),
            Block::Warning(text) => {
                let text = escape(text);
                self.add(&format!(
                    "<p class=\"warning\" role=\"note\"><strong>Warning:</strong> {text}</p>\n"
                ));
            }
            Block::Table(table) => self.table(table),
            Block::Figure(figure) => self.figure(figure),
            Block::FigureRow(figures) => {
                self.add("<div class=\"row\">\n");
                for figure in figures {
                    self.figure(figure);
                }
                self.add("</div>\n");
            }
            Block::Details { summary, blocks } => {
                let is_folded = depth < MAX_DEPTH;
                if is_folded {
                    self.add(&format!("<details><summary>{}</summary>\n", escape(summary)));
                    for block in blocks {
                        self.block(block, depth + 1);
                    }
                    self.add("</details>\n");
                } else {
                    self.add(&format!("<p>{} (too deeply nested to show)</p>\n", escape(summary)));
                }
            }
        }
    }

    fn figure(&mut self, figure: &Figure) {
        self.n_figures += 1;
        let alt = escape(&figure.alt);
        let svg = figure.svg.without_style();
        let (n, caption) = (self.n_figures, escape(&figure.caption));
        self.add(&format!(
            "<figure>\n<div class=\"plot\" role=\"img\" aria-label=\"{alt}\">{svg}</div>\n\
             <figcaption><strong>Figure {n}.</strong> {caption}</figcaption>\n</figure>\n"
        ));
    }

    fn table(&mut self, table: &Table) {
        self.n_tables += 1;
        let n_columns = table.rows.iter().map(|row| row.cells.len()).chain([table.columns.len()]).max();
        let n_columns = n_columns.unwrap_or(0);
        let align = |place: usize| match table.columns.get(place).map(|column| column.align) {
            Some(Align::Right) => " class=\"number\"",
            _ => "",
        };
        let (n, caption) = (self.n_tables, escape(&table.caption));
        self.add(&format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table {n}\"><table>\n\
             <caption><strong>Table {n}.</strong> {caption}</caption>\n<thead><tr>"
        ));
        for place in 0..n_columns {
            let header = table.columns.get(place).map_or("", |column| column.header.as_str());
            self.add(&format!("<th scope=\"col\"{}>{}</th>", align(place), escape(header)));
        }
        self.add("</tr></thead>\n<tbody>\n");
        let empty = Cell::default();
        for row in &table.rows {
            self.add(if row.is_highlighted { "<tr class=\"highlight\">" } else { "<tr>" });
            for place in 0..n_columns {
                let cell = row.cells.get(place).unwrap_or(&empty);
                let mark = cell.mark.map(|mark| badge(mark, mark.parts().2)).unwrap_or_default();
                let (name, scope) = if place == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                self.add(&format!("<{name}{scope}{}>{mark}{}</{name}>", align(place), escape(&cell.text)));
            }
            self.add("</tr>\n");
        }
        if table.rows.is_empty() {
            self.add(&format!("<tr><td colspan=\"{}\">no rows</td></tr>\n", n_columns.max(1)));
        }
        self.add("</tbody>\n</table></div>\n");
    }

    fn provenance(&mut self, entries: &[(String, String)]) {
        if entries.is_empty() {
            return;
        }
        self.add("<section aria-labelledby=\"provenance\">\n<h2 id=\"provenance\">Provenance</h2>\n<dl>\n");
        for (name, value) in entries {
            self.add(&format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)));
        }
        self.add("</dl>\n</section>\n");
    }
}

fn badge(mark: Mark, words: &str) -> String {
    let (class, sign, _) = mark.parts();
    format!("<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {words}</span>")
}
