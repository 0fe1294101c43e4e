//! Colors and fonts of figures: one palette, told apart by people who cannot tell red from green, in
//! a light and a dark form.

use std::sync::LazyLock;

/// Series that one figure can tell apart.
pub(crate) const N_SERIES: usize = 8;

/// Series colors on white, after Okabe and Ito, darkened to a contrast of at least 4.5.
const LIGHT: [&str; N_SERIES] =
    ["#0072b2", "#c44e00", "#007a5a", "#a0438a", "#8a6100", "#3f4a57", "#5b5bd6", "#b0243f"];
/// The same hues on a dark ground.
const DARK: [&str; N_SERIES] =
    ["#5bb8f0", "#ff9650", "#38cfa4", "#eba3d2", "#e8c252", "#c3cbd6", "#a9a9ff", "#ff8095"];
/// Line patterns: color is never the only difference.
const DASHES: [&str; N_SERIES] = ["none", "8 3", "2.5 2.5", "9 3 2 3", "5 2", "1 3", "12 4", "6 2 1 2"];

const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x49, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6e, 0xce, 0x58],
    [0xb5, 0xde, 0x2b],
    [0xfd, 0xe7, 0x25],
];

/// What every figure carries in its `style` element. The selectors name the figure class, so that
/// figures can stand inside a page.
pub(crate) static STYLE: LazyLock<String> = LazyLock::new(|| {
    let mut style = String::from(
        "svg.fig{font-family:system-ui,-apple-system,\"Segoe UI\",\"Helvetica Neue\",Arial,\
         \"Liberation Sans\",sans-serif;font-variant-numeric:tabular-nums}\
         .fig text{font-size:12px}.fig .ttl{font-size:15px;font-weight:600}.fig .tick{font-size:11.5px}\
         .fig .strong{font-weight:600}.fig .m{text-anchor:middle}.fig .e{text-anchor:end}\
         .fig .grid{stroke-width:1}.fig .axis{stroke-width:1;fill:none}\
         .fig .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
         .fig .raw{fill:none;stroke-width:1;stroke-opacity:.3;stroke-linejoin:round}\
         .fig .ref{fill:none;stroke-width:1.25;stroke-dasharray:4 3}\
         .fig .whisker{fill:none;stroke-width:1.5}\
         .fig .limit{fill:none;stroke-width:1.75}.fig .floor{stroke-dasharray:6 3}\
         .fig .goal{stroke-dasharray:2 2}\
         .fig .outline{fill-opacity:.12;stroke-width:1.5}.fig .soft{fill-opacity:.4}\
         .fig .dot{fill-opacity:.45}.fig .halo{fill:none;stroke:#000;stroke-opacity:.55;stroke-width:4}\
         .fig .truth{fill:none;stroke:#2ee86b;stroke-width:2}\
         .fig .pred{fill:none;stroke:#ff5a5a;stroke-width:2;stroke-dasharray:6 3}\
         .fig .scan{image-rendering:auto}.fig .map{image-rendering:pixelated}",
    );
    for (series, dash) in DASHES.iter().enumerate() {
        if series > 0 {
            style.push_str(&format!(".fig .d{series}{{stroke-dasharray:{dash}}}"));
        }
    }
    style.push_str(&theme(
        ["#ffffff", "#1b1f24", "#57606a", "#e4e7eb", "#7a838f"],
        ["#b0243f", "#007a5a"],
        LIGHT,
    ));
    style.push_str("@media screen and (prefers-color-scheme:dark){");
    style.push_str(&theme(
        ["#161b22", "#e6e8eb", "#a3acb8", "#2a313b", "#7d8794"],
        ["#ff8095", "#38cfa4"],
        DARK,
    ));
    style.push('}');
    style
});

fn theme(neutral: [&str; 5], limits: [&str; 2], series: [&str; N_SERIES]) -> String {
    let [ground, ink, muted, grid, axis] = neutral;
    let [floor, goal] = limits;
    let mut rules = format!(
        ".fig .bg{{fill:{ground}}}.fig .knock{{stroke:{ground};stroke-width:4;stroke-linejoin:round;paint-order:stroke}}.fig text{{fill:{ink}}}\
         .fig .muted,.fig .tick{{fill:{muted}}}\
         .fig .grid{{stroke:{grid}}}.fig .axis,.fig .ref{{stroke:{axis}}}.fig .whisker{{stroke:{ink}}}\
         .fig .ink{{fill:{ink}}}.fig .empty{{fill:{grid};fill-opacity:.45}}\
         .fig .floor{{stroke:{floor}}}.fig .goal{{stroke:{goal}}}"
    );
    for (place, color) in series.iter().enumerate() {
        rules.push_str(&format!(".fig .s{place}{{stroke:{color}}}.fig .f{place}{{fill:{color}}}"));
    }
    rules
}

/// The heat maps' color of a share of 0 to 1: viridis, between its tabulated colors linear.
pub(crate) fn viridis(share: f64) -> [u8; 3] {
    let place = share.clamp(0.0, 1.0) * 9.0;
    let left = (0..9).rev().find(|left| place >= f64::from(*left)).unwrap_or(0);
    let weight = place - f64::from(left);
    let left = usize::try_from(left).unwrap_or(0);
    let (low, high) = (VIRIDIS[left], VIRIDIS[left + 1]);
    std::array::from_fn(|channel| {
        byte(f64::from(low[channel]) * (1.0 - weight) + f64::from(high[channel]) * weight)
    })
}

/// The nearest byte; values outside 0..255 are clamped.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded and clamped to 0..=255, and NaN becomes 0"
)]
pub(crate) fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let share = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    /// Web Content Accessibility Guidelines 2.1, "contrast ratio".
    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_series_stands_out_from_its_ground() {
        for (colors, ground) in [(LIGHT, "#ffffff"), (DARK, "#161b22")] {
            for color in colors {
                assert!(contrast(color, ground) >= 4.5, "{color} on {ground}: {}", contrast(color, ground));
            }
        }
        for (muted, ground) in [("#57606a", "#ffffff"), ("#a3acb8", "#161b22")] {
            assert!(contrast(muted, ground) >= 4.5, "{muted}");
        }
    }

    #[test]
    fn the_color_map_meets_its_table() {
        for (share, expected) in [
            (0.0, VIRIDIS[0]),
            (1.0, VIRIDIS[9]),
            (1.0 / 9.0, VIRIDIS[1]),
            (-3.0, VIRIDIS[0]),
            (7.0, VIRIDIS[9]),
        ] {
            assert_eq!(viridis(share), expected, "{share}");
        }
        assert_eq!(viridis(0.5 / 9.0), [0x46, 0x15, 0x66]);
    }
}
