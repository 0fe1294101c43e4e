//! The caption processor that every target and short answer passes through.

/// Words kept of a caption.
const MAX_WORDS: usize = 50;

/// Lower-cases, turns each of `. ! " ( ) * # : ; ~` into a space, joins runs of white space, strips a final
/// newline and outer spaces, and keeps at most 50 words.
///
/// It leaves the targets of this project and `yes` / `no` as they are.
///
/// # Source
/// SPEC 2.1.
pub fn clean_caption(caption: &str) -> String {
    let spaced: String = caption
        .to_lowercase()
        .chars()
        .map(|c| if matches!(c, '.' | '!' | '"' | '(' | ')' | '*' | '#' | ':' | ';' | '~') { ' ' } else { c })
        .collect();
    let joined = join_white_space(&spaced);
    let stripped = joined.trim_end_matches('\n').trim_matches(' ');
    let mut words = stripped.split(' ');
    let kept: Vec<&str> = words.by_ref().take(MAX_WORDS).collect();
    kept.join(" ")
}

/// A run of two or more white-space characters becomes one space; a single one stays what it is.
fn join_white_space(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_whitespace() {
            joined.push(c);
            continue;
        }
        let mut run = 1;
        while chars.next_if(|next| next.is_whitespace()).is_some() {
            run += 1;
        }
        joined.push(if run > 1 { ' ' } else { c });
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::clean_caption;

    #[test]
    fn captions_are_cleaned_as_published() {
        let rows = [
            ("Pancreas", "pancreas"),
            ("A (b) : c!!", "a b c"),
            ("Hello,   world?\n", "hello, world?"),
            ("pancreatic tumor", "pancreatic tumor"),
            ("yes", "yes"),
            ("no", "no"),
            ("a\tb", "a\tb"),
            ("a\t\tb", "a b"),
            ("", ""),
            (" .\n", ""),
        ];
        for (caption, expected) in rows {
            assert_eq!(clean_caption(caption), expected, "{caption:?}");
        }
    }

    #[test]
    fn a_long_caption_keeps_fifty_words() {
        let words: Vec<String> = (0..60).map(|i| format!("w{i}")).collect();
        assert_eq!(clean_caption(&words.join(" ")), words[..50].join(" "));
    }
}
