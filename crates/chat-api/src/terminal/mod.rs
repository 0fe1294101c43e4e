//! A chat for terminals: lines in, lines out.

mod command;
mod files;
mod session;

use std::io::{BufRead, Read, Write};

use crate::config::ServerLimits;
use crate::model::ChatModel;
use command::Command;
use session::Session;

pub use session::TerminalError;

/// Longest line that is read.
const MAX_LINE: u64 = 64 << 10;

/// Talks with a model about a study: opens files, chooses slices, asks, prints answers as they come. Ends at
/// `quit` or at the end of the input. What goes wrong with a command is printed, and the next one is read.
///
/// # Errors
/// [`TerminalError`] if input or output fail.
pub fn terminal_chat<M: ChatModel>(
    model: &mut M,
    input: impl Read,
    mut output: impl Write,
    limits: &ServerLimits,
) -> Result<(), TerminalError> {
    let mut input = std::io::BufReader::new(input);
    let mut session = Session::new(model, limits.clone());
    session.greet(&mut output)?;
    loop {
        write!(output, "> ")?;
        output.flush()?;
        let mut line = Vec::new();
        let n = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if n == 0 {
            writeln!(output)?;
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        match Command::read(&line) {
            Ok(Command::Quit) => return Ok(()),
            Ok(command) => session.carry_out(command, &mut output)?,
            Err(words) => writeln!(output, "{words}")?,
        }
    }
}
