//! Texts at which an answer ends.

/// Passes text on up to the first stop text, and holds back what may become one.
#[derive(Debug, Default)]
pub(crate) struct StopText {
    stops: Vec<String>,
    held: String,
    hit: bool,
}

impl StopText {
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), ..Self::default() }
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.hit
    }

    /// Takes new text; returns what is certain to belong to the answer.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.hit {
            return String::new();
        }
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.hit = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let kept = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, kept)
    }

    /// The rest, at the answer's end.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` with which `stop` may begin.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len().min(text.len() + 1))
        .rev()
        .find(|&n| stop.is_char_boundary(n) && text.ends_with(&stop[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut stop = StopText::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out: String = pieces.iter().map(|piece| stop.push(piece)).collect();
        out.push_str(&stop.finish());
        (out, stop.is_hit())
    }

    #[test]
    fn answers_end_before_the_first_stop_text() {
        let check = |stops: &[&str], pieces: &[&str], out: &str, hit: bool| {
            assert_eq!(run(stops, pieces), (out.to_owned(), hit), "{stops:?} {pieces:?}");
        };
        check(&[], &["a", "b"], "ab", false);
        check(&["</s>"], &["yes<", "/", "s", ">no"], "yes", true);
        check(&["</s>"], &["yes<", "/", "x"], "yes</x", false);
        check(&["b", "ab"], &["xa", "b"], "x", true);
        check(&["\n\n"], &["a\n", "b\n", "\nc"], "a\nb", true);
        check(&["é!"], &["caf", "é", "s"], "cafés", false);
        check(&["é!"], &["caf", "é", "!"], "caf", true);
        check(&["", "z"], &["a"], "a", false);
    }

    #[test]
    fn certain_text_is_not_held_back() {
        let mut stop = StopText::new(vec!["END".to_owned()]);
        assert_eq!(stop.push("the E"), "the ");
        assert_eq!(stop.push("x"), "Ex");
    }
}
