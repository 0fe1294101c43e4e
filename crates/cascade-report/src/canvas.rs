//! The sheet a figure is drawn on: marks with classes, a heading, a legend.

use crate::style::STYLE;
use crate::svg::Svg;
use crate::text::{coordinate, escape, fit, width_px};

/// Space at the left and right edge, in px.
pub(crate) const MARGIN: f64 = 16.0;

/// Length of a tooltip in px, lest long labels make a figure large.
const MAX_TIP: f64 = 600.0;

/// Where text stands relative to its position.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a legend shows its entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Swatch {
    Line,
    Bar,
    Dot,
    Box,
}

/// An entry of the legend: mark, classes of the mark, label.
pub(crate) type LegendEntry = (Swatch, String, String);

/// A drawing in progress.
#[derive(Debug)]
pub(crate) struct Canvas {
    width: f64,
    title: String,
    body: String,
    /// The first free y below the heading and the legend.
    pub(crate) top: f64,
}

impl Canvas {
    /// Starts a drawing `width` px wide with its title, a line that says what and how many are
    /// shown, and a legend.
    pub(crate) fn new(width: f64, title: &str, subtitle: &str, legend: &[LegendEntry]) -> Self {
        let mut canvas = Self { width, title: title.to_owned(), body: String::new(), top: 12.0 };
        let space = width - 2.0 * MARGIN;
        if !title.is_empty() {
            canvas.text("ttl", MARGIN, canvas.top + 14.0, Anchor::Start, &fit(title, 15.5, space));
            canvas.top += 24.0;
        }
        if !subtitle.is_empty() {
            canvas.text("muted", MARGIN, canvas.top + 10.0, Anchor::Start, &fit(subtitle, 12.0, space));
            canvas.top += 18.0;
        }
        canvas.legend(legend, space);
        canvas.top += 8.0;
        canvas
    }

    fn legend(&mut self, entries: &[LegendEntry], space: f64) {
        if entries.is_empty() {
            return;
        }
        let (mut x, mut y) = (MARGIN, self.top + 12.0);
        for (swatch, class, label) in entries {
            let label = fit(label, 12.0, space - 30.0);
            let width = 30.0 + width_px(&label, 12.0);
            if x > MARGIN && x + width > MARGIN + space {
                x = MARGIN;
                y += 18.0;
            }
            match swatch {
                Swatch::Line => self.line(class, (x, y - 4.0), (x + 22.0, y - 4.0)),
                Swatch::Bar => self.rect(class, x + 4.0, y - 9.0, 14.0, 10.0, None),
                Swatch::Dot => self.dot(class, x + 11.0, y - 4.0, 4.0, None),
                Swatch::Box => {
                    self.rect("halo", x + 3.0, y - 10.0, 16.0, 12.0, None);
                    self.rect(class, x + 3.0, y - 10.0, 16.0, 12.0, None);
                }
            }
            self.text("", x + 27.0, y, Anchor::Start, &label);
            x += width + 14.0;
        }
        self.top = y + 6.0;
    }

    pub(crate) fn width(&self) -> f64 {
        self.width
    }

    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(coordinate);
        self.body.push_str(&format!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\n"
        ));
    }

    pub(crate) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, tip: Option<&str>) {
        let [x, y, width, height] = [x, y, width.max(0.0), height.max(0.0)].map(coordinate);
        let start =
            format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        self.close(&start, "rect", tip);
    }

    pub(crate) fn dot(&mut self, class: &str, x: f64, y: f64, radius: f64, tip: Option<&str>) {
        let [x, y, radius] = [x, y, radius].map(coordinate);
        self.close(&format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\""), "circle", tip);
    }

    fn close(&mut self, start: &str, name: &str, tip: Option<&str>) {
        self.body.push_str(start);
        match tip {
            Some(tip) => self
                .body
                .push_str(&format!("><title>{}</title></{name}>\n", escape(&fit(tip, 12.0, MAX_TIP)))),
            None => self.body.push_str("/>\n"),
        }
    }

    /// A line through `points`, in px; nothing for less than two.
    pub(crate) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() > 1 {
            self.body.push_str(&format!("<polyline class=\"{class}\" points=\"{}\"/>\n", path(points)));
        }
    }

    pub(crate) fn polygon(&mut self, class: &str, points: &[(f64, f64)]) {
        self.body.push_str(&format!("<polygon class=\"{class}\" points=\"{}\"/>\n", path(points)));
    }

    pub(crate) fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        self.text_element(class, x, y, anchor, text, "");
    }

    /// Text that reads upward, centered at its position.
    pub(crate) fn text_upward(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", coordinate(x), coordinate(y));
        self.text_element(class, x, y, Anchor::Middle, text, &turn);
    }

    fn text_element(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str, turn: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " m",
            Anchor::End => " e",
        };
        let class = format!("{class}{anchor}");
        let class =
            if class.is_empty() { String::new() } else { format!(" class=\"{}\"", class.trim_start()) };
        let [x, y] = [x, y].map(coordinate);
        self.body.push_str(&format!("<text{class} x=\"{x}\" y=\"{y}\"{turn}>{}</text>\n", escape(text)));
    }

    /// A PNG stretched over a rectangle.
    pub(crate) fn image(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, png_bytes: &[u8]) {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(png_bytes);
        let [x, y, width, height] = [x, y, width, height].map(coordinate);
        self.body.push_str(&format!(
            "<image class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             preserveAspectRatio=\"none\" href=\"data:image/png;base64,{data}\"/>\n"
        ));
    }

    /// The finished figure, `height` px high.
    pub(crate) fn finish(self, height: f64) -> Svg {
        let [width, height] = [self.width, height].map(coordinate);
        let title = escape(&fit(&self.title, 12.0, 2000.0));
        Svg::new(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" role=\"img\" aria-label=\"{title}\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\
             <style>{}</style>\n<rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            &*STYLE, self.body
        ))
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::with_capacity(points.len() * 14);
    for (place, (x, y)) in points.iter().enumerate() {
        if place > 0 {
            path.push(' ');
        }
        path.push_str(&coordinate(*x));
        path.push(',');
        path.push_str(&coordinate(*y));
    }
    path
}
