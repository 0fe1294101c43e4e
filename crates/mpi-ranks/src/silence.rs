//! How long a rank was silent.

use std::time::Duration;

/// Time that passes between two looks counts up to so much: a process that was itself suspended, or a
/// whole job with it, does not take the time it slept for its neighbor's silence.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Counts the silence of one rank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    timeout: Duration,
    silent: Duration,
}

impl Silence {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, silent: Duration::ZERO }
    }

    /// Takes a look: whether the rank was heard since the last one, `elapsed` ago. Returns the silence
    /// once it is too long.
    pub(crate) fn look(&mut self, was_heard: bool, elapsed: Duration) -> Option<Duration> {
        if was_heard {
            self.silent = Duration::ZERO;
            return None;
        }
        self.silent += elapsed.min(LONGEST_LOOK);
        (self.silent >= self.timeout).then_some(self.silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_in_a_row_while_awake_counts() {
        let seconds = Duration::from_secs;
        let silent = (false, Duration::from_millis(500));
        let rows = [
            ("silent", vec![silent; 10], Some(seconds(5))),
            ("heard in between", [vec![silent; 9], vec![(true, seconds(0))], vec![silent; 9]].concat(), None),
            ("one long sleep", vec![(false, seconds(3600))], None),
            ("a beat after the timeout, before the look", vec![(true, seconds(60))], None),
        ];
        for (what, looks, expected) in rows {
            let mut silence = Silence::new(seconds(5));
            let lost = looks.into_iter().find_map(|(heard, elapsed)| silence.look(heard, elapsed));
            assert_eq!(lost, expected, "{what}");
        }
    }
}
