//! What a line asks for.

use ct_slices::pixels::HuWindow;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Nothing,
    Help,
    Quit,
    Open(String),
    Example,
    Slice(usize),
    Window(HuWindow),
    Temperature(f32),
    Restart,
    Run,
    Save(String),
    Ask(String),
}

/// Shown at `help`.
pub(super) const HELP: &str = "\
open PATH            a DICOM folder or file, a NIfTI file, a PNG or JPEG picture, or a zip file of such
example              the study that comes with the program
slice N              the slice that is asked about, counted from 0 at the feet
window LOW HIGH      in HU, or a name: pancreas, soft-tissue, liver, bone, lung
temperature T        0 takes the likeliest words, up to 2
restart              forget the conversation
run                  look at the whole study
save FOLDER          write what the run found
quit                 leave
Anything else is a question, such as: [refer] where is the pancreas?";

impl Command {
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let number = |what: &str| format!("`{word}` needs {what}");
        match (word, rest) {
            ("", _) => Ok(Self::Nothing),
            ("help" | "?", "") => Ok(Self::Help),
            ("quit" | "exit", "") => Ok(Self::Quit),
            ("example", "") => Ok(Self::Example),
            ("restart", "") => Ok(Self::Restart),
            ("run", "") => Ok(Self::Run),
            ("open", path) if !path.is_empty() => Ok(Self::Open(path.to_owned())),
            ("save", path) if !path.is_empty() => Ok(Self::Save(path.to_owned())),
            ("open" | "save", _) => Err(number("a path")),
            ("slice", n) => n.parse().map(Self::Slice).map_err(|_| number("a number from 0")),
            ("temperature", t) => match t.parse::<f32>() {
                Ok(value) if (0.0..=2.0).contains(&value) => Ok(Self::Temperature(value)),
                _ => Err(number("a number from 0 to 2")),
            },
            ("window", text) => {
                window(text).map(Self::Window).ok_or_else(|| number("`LOW HIGH` in HU, or a name"))
            }
            _ => Ok(Self::Ask(line.to_owned())),
        }
    }
}

fn window(text: &str) -> Option<HuWindow> {
    let mut numbers = text.split([' ', ',']).filter(|part| !part.is_empty()).map(str::parse::<f64>);
    HuWindow::named(text).or_else(|| match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(low)), Some(Ok(high)), None) => HuWindow::from_limits(low, high).ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_questions() {
        let check = |line: &str, expected: Result<Command, String>| {
            assert_eq!(Command::read(line), expected, "{line}")
        };
        check("", Ok(Command::Nothing));
        check("  quit \n", Ok(Command::Quit));
        check("open a b.nii.gz", Ok(Command::Open("a b.nii.gz".to_owned())));
        check("open", Err("`open` needs a path".to_owned()));
        check("slice 7", Ok(Command::Slice(7)));
        check("slice -7", Err("`slice` needs a number from 0".to_owned()));
        check("window -150 250", Ok(Command::Window(HuWindow::PANCREAS)));
        check("window lung", Ok(Command::Window(HuWindow::LUNG)));
        check("window 3", Err("`window` needs `LOW HIGH` in HU, or a name".to_owned()));
        check("temperature 0.6", Ok(Command::Temperature(0.6)));
        check("temperature 9", Err("`temperature` needs a number from 0 to 2".to_owned()));
        check("[refer] the pancreas", Ok(Command::Ask("[refer] the pancreas".to_owned())));
        check("run to the hills", Ok(Command::Ask("run to the hills".to_owned())));
    }
}
