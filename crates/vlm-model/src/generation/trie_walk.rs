//! How the probability of a choice spreads over its trie.

use std::collections::{BTreeMap, BTreeSet};

use super::ChoiceDistribution;
use super::free::not_numbers;
use super::grammar::{CompiledChoice, TrieNode};
use super::token_tree::{Planned, TokenTree};
use crate::ModelError;

/// Nodes that one call may have for deeper levels to ride along, whatever the frontier's size: a
/// call of so few positions costs as much as one of a single position.
const SMALL_CALL: usize = 16;

/// What is known of one choice.
pub(crate) struct TrieWalk<'c> {
    choice: &'c CompiledChoice,
    /// The tree's node of each trie node that was fed.
    places: Vec<Option<usize>>,
    /// Probability to come past each node, where known.
    masses: Vec<f64>,
    /// How that is shared among the allowed tokens, where known.
    shares: Vec<Option<Vec<f64>>>,
    /// Nodes where an option ends, and its probability.
    ends: Vec<(usize, f64)>,
    /// Nodes that must be fed before their probability can spread.
    open: Vec<usize>,
    pruned: f64,
}

/// How far the most probable tokens lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greedy {
    /// To the end of the option that stands here.
    Ends(usize),
    /// To a node after which the probabilities are not known yet.
    Open(usize),
}

impl<'c> TrieWalk<'c> {
    /// A walk from the root, which is at the tree's node `root`.
    pub(crate) fn new(choice: &'c CompiledChoice, root: usize) -> Self {
        let n = choice.nodes.len();
        let mut walk = Self {
            choice,
            places: vec![None; n],
            masses: vec![0.0; n],
            shares: vec![None; n],
            ends: Vec::new(),
            open: vec![0],
            pruned: 0.0,
        };
        walk.places[0] = Some(root);
        walk.masses[0] = 1.0;
        walk
    }

    /// Whether nothing is left to be fed.
    pub(crate) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    /// The tree's node of a trie node, if it was fed.
    pub(crate) fn place(&self, node: usize) -> Option<usize> {
        self.places[node]
    }

    /// Spreads the probability of open nodes as far as the tree knows it.
    pub(crate) fn spread(&mut self, tree: &TokenTree<'_>) -> Result<(), ModelError> {
        let mut ready = std::mem::take(&mut self.open);
        while let Some(node) = ready.pop() {
            let allowed = self.choice.allowed(node);
            let shares = match self.places[node] {
                _ if !self.choice.branches(node) => vec![1.0; allowed.len()],
                Some(place) => {
                    let logs = allowed.iter().map(|(token, _)| tree.log_probability(place, *token));
                    normalized(logs.collect()).ok_or_else(not_numbers)?
                }
                None => {
                    self.open.push(node);
                    continue;
                }
            };
            for ((_, child), share) in allowed.iter().zip(&shares) {
                let mass = self.masses[node] * share;
                match *child {
                    None => self.ends.push((node, mass)),
                    Some(child) => {
                        self.masses[child] = mass;
                        if self.choice.is_leaf(child) {
                            self.ends.push((child, mass));
                        } else {
                            ready.push(child);
                        }
                    }
                }
            }
            self.shares[node] = Some(shares);
        }
        Ok(())
    }

    /// Follows the most probable token at each node; of equals the smallest.
    pub(crate) fn greedy(&self) -> Greedy {
        let mut node = 0;
        loop {
            if self.choice.is_leaf(node) {
                return Greedy::Ends(node);
            }
            let Some(shares) = &self.shares[node] else { return Greedy::Open(node) };
            let mut best = 0;
            for (place, share) in shares.iter().enumerate() {
                if *share > shares[best] {
                    best = place;
                }
            }
            match self.choice.allowed(node)[best].1 {
                Some(child) => node = child,
                None => return Greedy::Ends(node),
            }
        }
    }

    /// Closes open nodes below a probability, except `keep`.
    pub(crate) fn prune(&mut self, limit: f64, keep: Option<usize>) {
        let (masses, pruned) = (&self.masses, &mut self.pruned);
        self.open.retain(|node| {
            let kept = masses[*node] >= limit || Some(*node) == keep;
            *pruned += if kept { 0.0 } else { masses[*node] };
            kept
        });
    }

    /// What the next call must evaluate, given the node that its first token will be. The open
    /// nodes' places are known afterwards.
    pub(crate) fn plan(&mut self, next_node: usize) -> Vec<Planned> {
        let mut frontier = BTreeSet::new();
        for node in &self.open {
            let mut above = *node;
            while self.places[above].is_none() && frontier.insert(above) {
                above = self.choice.nodes[above].parent;
            }
        }
        let deeper = self.deeper(&frontier);
        if deeper.len() <= SMALL_CALL.max(2 * frontier.len()) {
            frontier = deeper;
        }
        // A trie's nodes are numbered parents first.
        let mut planned = Vec::with_capacity(frontier.len());
        for node in frontier {
            let TrieNode { token, parent, .. } = &self.choice.nodes[node];
            let parent = self.places[*parent].expect("parents are planned before their children");
            self.places[node] = Some(next_node + planned.len());
            planned.push(Planned { token: *token, parent });
        }
        planned
    }

    /// The frontier and all nodes below it whose probability can spread.
    fn deeper(&self, frontier: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = frontier.clone();
        let mut ready: Vec<usize> = self.open.clone();
        while let Some(node) = ready.pop() {
            for child in self.choice.nodes[node].children.values() {
                if !self.choice.is_leaf(*child) {
                    all.insert(*child);
                    ready.push(*child);
                }
            }
        }
        all
    }

    /// Where the most probable option ends; of equals the one with the smaller value.
    pub(crate) fn most_probable(&self) -> Option<usize> {
        let value = |node: usize| self.choice.nodes[node].value;
        let better = |left: &&(usize, f64), right: &&(usize, f64)| {
            left.1.total_cmp(&right.1).then(value(right.0).cmp(&value(left.0)))
        };
        self.ends.iter().max_by(better).map(|(node, _)| *node)
    }

    /// Probability of the option that ends at a node.
    pub(crate) fn end_mass(&self, node: usize) -> f64 {
        self.ends.iter().filter(|(end, _)| *end == node).map(|(_, mass)| mass).sum()
    }

    /// All values with their probabilities.
    pub(crate) fn distribution(&self) -> ChoiceDistribution {
        let mut values = BTreeMap::new();
        for (node, mass) in &self.ends {
            if let Some(value) = self.choice.nodes[*node].value {
                *values.entry(value).or_insert(0.0) += mass;
            }
        }
        let known: f64 = values.values().sum();
        let mean = values.iter().map(|(value, mass)| f64::from(*value) * mass).sum::<f64>() / known;
        ChoiceDistribution { probabilities: values.into_iter().collect(), pruned: self.pruned, mean }
    }
}

/// Log-probabilities of some tokens to their shares of 1.
fn normalized(logs: Vec<f64>) -> Option<Vec<f64>> {
    let largest = logs.iter().copied().filter(|log| log.is_finite()).max_by(f64::total_cmp)?;
    let weights: Vec<f64> =
        logs.into_iter().map(|log| if log.is_nan() { 0.0 } else { (log - largest).exp() }).collect();
    let sum: f64 = weights.iter().sum();
    Some(weights.into_iter().map(|weight| weight / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one() {
        let shares = normalized(vec![-1.0_f64, -1.0, f64::NEG_INFINITY, f64::NAN]).unwrap();
        assert_eq!(shares, [0.5, 0.5, 0.0, 0.0]);
        assert!(normalized(vec![f64::NAN, f64::NEG_INFINITY]).is_none());
    }
}
