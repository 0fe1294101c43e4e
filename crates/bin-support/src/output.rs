//! Data on stdout, messages on stderr.
//!
//! What nobody reads on stderr is dropped: a message must not end work that goes well. Data that
//! nobody reads is an error.

use std::io::Write;

/// Prints an error and its causes, one a line, on stderr.
pub fn report_error(error: &anyhow::Error) {
    note(&error_text(error));
}

fn error_text(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    text
}

/// Prints a line of a person's summary on stderr. Beside a training bar use [`crate::TrainingBar::note`].
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line of data on stdout.
///
/// # Errors
/// If stdout is closed or full.
pub fn data(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Prints a piece of streamed text on stdout at once, without ending the line.
///
/// # Errors
/// If stdout is closed or full.
pub fn piece(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Prints JSON on stdout, indented.
///
/// # Errors
/// If the value has no JSON form (a map with keys that are no text), or stdout is closed or full.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::error_text;

    #[test]
    fn an_error_is_told_with_its_causes() {
        let rows = [
            (anyhow!("no such study"), "error: no such study"),
            (
                anyhow!("end of file").context("cannot read `a.nii`"),
                "error: cannot read `a.nii`\n  because: end of file",
            ),
            (anyhow!("3").context("2").context("1"), "error: 1\n  because: 2\n  because: 3"),
        ];
        for (error, expected) in rows {
            assert_eq!(error_text(&error), expected);
        }
    }
}
