//! Text for SVG and HTML: escaping, widths, numbers.

/// Escapes text for element content and for attributes in double or single quotes.
///
/// Characters that XML 1.0 forbids even as references become the replacement character.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Approximate width in px of `text` in a sans-serif font of `size_px`. Figures are laid out
/// without a font at hand, so it is generous rather than exact.
pub(crate) fn width_px(text: &str, size_px: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size_px
}

fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' => 0.31,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' => 0.38,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.97,
        'A'..='Z' => 0.7,
        '\u{1100}'.. => 1.0,
        _ => 0.63,
    }
}

/// Shortens `text` to `limit_px`, with an ellipsis where something is missing.
pub(crate) fn fit(text: &str, size_px: f64, limit_px: f64) -> String {
    if width_px(text, size_px) <= limit_px {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = advance('…') * size_px;
    for character in text.chars() {
        used += advance(character) * size_px;
        if used > limit_px {
            break;
        }
        fitted.push(character);
    }
    format!("{}…", fitted.trim_end())
}

/// A coordinate with two decimals at most.
pub(crate) fn coordinate(value: f64) -> String {
    let mut text = format!("{value:.2}");
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    if text == "-0" { "0".to_owned() } else { text }
}

/// A whole number with commas between thousands.
pub(crate) fn count(value: impl ToString) -> String {
    group_thousands(&value.to_string())
}

/// `value` with `decimals` places, commas between thousands, a true minus sign, `n/a` where it is
/// not finite.
pub(crate) fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "n/a".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let is_zero = text.chars().all(|character| matches!(character, '0' | '.'));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if value < 0.0 && !is_zero { "\u{2212}" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", group_thousands(whole))
}

fn group_thousands(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        for (text, expected) in [
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("a & \"b\"", "a &amp; &quot;b&quot;"),
            ("\u{0}\u{1b}[31m\n", "\u{fffd}\u{fffd}[31m\n"),
            ("Größe µm²", "Größe µm²"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, decimals, expected) in [
            (0.5952, 3, "0.595"),
            (-0.0001, 2, "0.00"),
            (-1234.5, 1, "\u{2212}1,234.5"),
            (1_000_000.0, 0, "1,000,000"),
            (999.0, 0, "999"),
            (f64::NAN, 2, "n/a"),
            (f64::INFINITY, 2, "n/a"),
        ] {
            assert_eq!(decimal(value, decimals), expected);
        }
        assert_eq!(count(33_554_432_u64), "33,554,432");
        for (value, expected) in [(1.0, "1"), (1.5, "1.5"), (0.126, "0.13"), (-0.001, "0"), (100.0, "100")] {
            assert_eq!(coordinate(value), expected);
        }
    }

    #[test]
    fn long_labels_are_shortened_to_their_space() {
        assert_eq!(fit("short", 12.0, 100.0), "short");
        let fitted = fit(&"pancreas ".repeat(500), 12.0, 100.0);
        assert!(fitted.ends_with('…') && width_px(&fitted, 12.0) <= 100.0, "{fitted}");
    }
}
