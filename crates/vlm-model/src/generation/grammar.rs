//! Which answers are well-formed, as plain data, and the tries that decoding walks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// All well-formed answers of one kind, the end token included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodingGrammar {
    /// The segments in order.
    pub segments: Vec<GrammarSegment>,
}

/// A stretch of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrammarSegment {
    /// These tokens and no others.
    Forced(Vec<u32>),
    /// One of these: tokens and what they mean. One option may begin another (`1` and `10`): the
    /// token after the choice tells them apart.
    Choice(Vec<(Vec<u32>, u32)>),
}

/// A checked grammar: a beginning, then choices with the tokens that follow each of them.
#[derive(Debug)]
pub(crate) struct CompiledGrammar {
    pub(crate) beginning: Vec<u32>,
    pub(crate) choices: Vec<CompiledChoice>,
    /// All tokens that occur, sorted.
    pub(crate) tokens: Vec<u32>,
    /// Tokens of the longest answer.
    pub(crate) max_len: usize,
}

#[derive(Debug)]
pub(crate) struct CompiledChoice {
    /// Node 0 is the root.
    pub(crate) nodes: Vec<TrieNode>,
    /// Forced tokens after the choice.
    pub(crate) after: Vec<u32>,
}

/// A beginning of options.
#[derive(Debug, Default)]
pub(crate) struct TrieNode {
    pub(crate) parent: usize,
    /// The token that leads here.
    pub(crate) token: u32,
    pub(crate) children: BTreeMap<u32, usize>,
    /// What the option that ends here means.
    pub(crate) value: Option<u32>,
}

impl CompiledChoice {
    /// Tokens that the grammar allows at a node, and the nodes that they lead to; none ends the
    /// option that stands there.
    pub(crate) fn allowed(&self, node: usize) -> Vec<(u32, Option<usize>)> {
        let node = &self.nodes[node];
        let mut allowed: Vec<(u32, Option<usize>)> =
            node.children.iter().map(|(token, child)| (*token, Some(*child))).collect();
        if node.value.is_some()
            && let Some(end) = self.after.first()
        {
            allowed.push((*end, None));
            allowed.sort_unstable_by_key(|(token, _)| *token);
        }
        allowed
    }

    /// Whether nothing can follow but the end of the option.
    pub(crate) fn is_leaf(&self, node: usize) -> bool {
        self.nodes[node].children.is_empty()
    }

    /// Whether the model has a say after this node.
    pub(crate) fn branches(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.children.len() + usize::from(node.value.is_some()) > 1
    }

    /// Whether the model has a say at all.
    pub(crate) fn is_open(&self) -> bool {
        (0..self.nodes.len()).any(|node| self.branches(node))
    }

    /// The nodes from below the root to a node.
    pub(crate) fn path(&self, mut node: usize) -> Vec<usize> {
        let mut path = Vec::new();
        while node != 0 {
            path.push(node);
            node = self.nodes[node].parent;
        }
        path.reverse();
        path
    }
}

impl DecodingGrammar {
    /// Checks the segments and builds the tries.
    ///
    /// # Errors
    /// [`ModelError::Input`] for tokens outside the vocabulary, a choice without options, an empty
    /// option, two equal ones, an option whose end nothing tells, or an empty answer.
    pub(crate) fn compile(&self, vocab: usize) -> Result<CompiledGrammar, ModelError> {
        let mut compiled =
            CompiledGrammar { beginning: Vec::new(), choices: Vec::new(), tokens: Vec::new(), max_len: 0 };
        for segment in &self.segments {
            match segment {
                GrammarSegment::Forced(tokens) => {
                    compiled.max_len += tokens.len();
                    compiled.tokens.extend(tokens);
                    match compiled.choices.last_mut() {
                        None => compiled.beginning.extend(tokens),
                        Some(choice) => choice.after.extend(tokens),
                    }
                }
                GrammarSegment::Choice(options) => {
                    compiled.max_len += options.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(0);
                    compiled.tokens.extend(options.iter().flat_map(|(tokens, _)| tokens));
                    compiled.choices.push(CompiledChoice { nodes: trie(options)?, after: Vec::new() });
                }
            }
        }
        compiled.tokens.sort_unstable();
        compiled.tokens.dedup();
        if let Some(token) = compiled.tokens.last().filter(|token| **token as usize >= vocab) {
            return Err(refused("token of a grammar", token, format!("below {vocab}")));
        }
        if compiled.max_len == 0 {
            return Err(refused("grammar", "empty", "at least one token".to_owned()));
        }
        compiled.choices.iter().try_for_each(check_ends)?;
        Ok(compiled)
    }
}

fn trie(options: &[(Vec<u32>, u32)]) -> Result<Vec<TrieNode>, ModelError> {
    let mut nodes = vec![TrieNode::default()];
    for (tokens, value) in options {
        let mut node = 0;
        for token in tokens {
            let n_nodes = nodes.len();
            let next = *nodes[node].children.entry(*token).or_insert(n_nodes);
            if next == n_nodes {
                nodes.push(TrieNode { parent: node, token: *token, ..TrieNode::default() });
            }
            node = next;
        }
        if node == 0 {
            return Err(refused("option of a grammar", "empty", "at least one token".to_owned()));
        }
        if nodes[node].value.replace(*value).is_some() {
            let got = format!("{tokens:?} twice");
            return Err(refused("options of a grammar", got, "different tokens".to_owned()));
        }
    }
    if options.is_empty() {
        return Err(refused("choice of a grammar", "no option", "at least one".to_owned()));
    }
    Ok(nodes)
}

/// Where an option begins another, the token after the choice must tell which is meant.
fn check_ends(choice: &CompiledChoice) -> Result<(), ModelError> {
    for node in choice.nodes.iter().filter(|node| node.value.is_some() && !node.children.is_empty()) {
        if choice.after.first().is_none_or(|end| node.children.contains_key(end)) {
            return Err(refused(
                "grammar",
                format!("an option that begins another, followed by {:?}", choice.after.first()),
                "a forced token that continues no option".to_owned(),
            ));
        }
    }
    Ok(())
}

fn refused(what: &'static str, got: impl ToString, expected: String) -> ModelError {
    ModelError::Input { what, got: got.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(max: u32) -> Vec<(Vec<u32>, u32)> {
        (0..=max).map(|n| (n.to_string().bytes().map(|b| u32::from(b - b'0')).collect(), n)).collect()
    }

    #[test]
    fn tries_hold_all_options() {
        let segments = vec![
            GrammarSegment::Forced(vec![20]),
            GrammarSegment::Choice(numbers(100)),
            GrammarSegment::Forced(vec![21]),
        ];
        let grammar = DecodingGrammar { segments }.compile(32).unwrap();
        let choice = &grammar.choices[0];
        assert_eq!((choice.nodes.len(), grammar.max_len, &grammar.beginning), (102, 5, &vec![20]));
        let branching = (1..102).filter(|node| choice.branches(*node)).count();
        assert_eq!(branching, 10, "1 to 9 and 10");
        assert_eq!(choice.allowed(0).len(), 10);
        let ten = choice.nodes[choice.nodes[0].children[&1]].children[&0];
        assert_eq!(choice.allowed(ten).iter().map(|(token, _)| *token).collect::<Vec<_>>(), [0, 21]);
        let hundred = choice.path(choice.nodes[ten].children[&0]);
        assert_eq!(hundred.iter().map(|node| choice.nodes[*node].token).collect::<Vec<_>>(), [1, 0, 0]);
    }

    #[test]
    fn ambiguous_grammars_are_refused() {
        use GrammarSegment::{Choice, Forced};
        for segments in [
            vec![],
            vec![Forced(vec![])],
            vec![Choice(vec![])],
            vec![Choice(vec![(vec![], 1)])],
            vec![Choice(vec![(vec![3], 1), (vec![3], 2)])],
            vec![Choice(vec![(vec![3], 1), (vec![3, 4], 2)])],
            vec![Choice(vec![(vec![3], 1), (vec![3, 4], 2)]), Forced(vec![4])],
            vec![Choice(vec![(vec![3], 1), (vec![3, 4], 2)]), Choice(vec![(vec![5], 1)])],
            vec![Forced(vec![32])],
        ] {
            let grammar = DecodingGrammar { segments };
            assert!(matches!(grammar.compile(32), Err(ModelError::Input { .. })), "{grammar:?}");
        }
        let fine = vec![Choice(vec![(vec![3], 1), (vec![4], 2)]), Choice(vec![(vec![3], 1)])];
        assert!(
            DecodingGrammar { segments: fine }.compile(32).is_ok(),
            "options of one length end by themselves"
        );
    }
}
