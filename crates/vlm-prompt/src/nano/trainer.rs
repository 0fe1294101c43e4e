//! A byte-pair trainer small enough to be sure of: no threads, no hash order, every tie decided by the text.

use std::collections::{BTreeMap, BTreeSet};

/// What was learned.
pub(super) struct Learned {
    /// New pieces in the order of learning.
    pub(super) pieces: Vec<String>,
    /// Merges in the order of learning; a few more than pieces when two merges give the same piece.
    pub(super) merges: Vec<(String, String)>,
}

/// Learns `n_pieces` pieces from words and how often they occur. Merges stay inside of words.
///
/// `None` when the words run out of pairs first.
pub(super) fn train(words: &BTreeMap<String, u64>, n_pieces: usize) -> Option<Learned> {
    let mut symbols: Vec<(Vec<String>, u64)> =
        words.iter().map(|(word, count)| (word.chars().map(String::from).collect(), *count)).collect();
    let mut learned = Learned { pieces: Vec::new(), merges: Vec::new() };
    let mut seen = BTreeSet::new();
    while learned.pieces.len() < n_pieces {
        let (left, right) = best_pair(&symbols)?;
        let joined = format!("{left}{right}");
        for (word, _) in &mut symbols {
            merge(word, &left, &right, &joined);
        }
        learned.merges.push((left, right));
        if seen.insert(joined.clone()) {
            learned.pieces.push(joined);
        }
    }
    Some(learned)
}

/// The most frequent pair; of equals the one with the shortest result, which serves the most words, then the first in
/// the order of the text.
fn best_pair(symbols: &[(Vec<String>, u64)]) -> Option<(String, String)> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (word, count) in symbols {
        for pair in word.windows(2) {
            *counts.entry((&pair[0], &pair[1])).or_default() += count;
        }
    }
    let most = counts.values().max()?;
    let most_frequent = counts.iter().filter(|(_, count)| *count == most).map(|(pair, _)| *pair);
    // `min_by_key` keeps the first of equals, and the map is in the order of the text.
    let (left, right) = most_frequent.min_by_key(|(left, right)| left.len() + right.len())?;
    Some((left.to_owned(), right.to_owned()))
}

fn merge(word: &mut Vec<String>, left: &str, right: &str, joined: &str) {
    let mut place = 0;
    while place + 1 < word.len() {
        if word[place] == left && word[place + 1] == right {
            joined.clone_into(&mut word[place]);
            word.remove(place + 1);
        }
        place += 1;
    }
}
