//! The bracketed words that tell the model what kind of answer is wanted.

use serde::{Deserialize, Serialize};

/// A task tag, written `[refer]` and so on at the beginning of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskTag {
    /// Where is the named thing? The answer is a box.
    Refer,
    /// A question about the image, answered briefly.
    Vqa,
    /// What is in the given box?
    Identify,
    /// A description whose phrases carry boxes.
    Grounding,
    /// All boxes of a named thing.
    Detection,
}

impl TaskTag {
    /// Every tag.
    pub const ALL: [Self; 5] = [Self::Refer, Self::Vqa, Self::Identify, Self::Grounding, Self::Detection];

    /// The tag with its brackets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refer => "[refer]",
            Self::Vqa => "[vqa]",
            Self::Identify => "[identify]",
            Self::Grounding => "[grounding]",
            Self::Detection => "[detection]",
        }
    }

    /// What the demo's shortcut for this task puts into the text box.
    ///
    /// # Source
    /// SPEC 5.7.
    pub fn shortcut(self) -> &'static str {
        match self {
            Self::Grounding => "[grounding] describe this image in detail",
            Self::Identify => "[identify] what is this ",
            Self::Refer => "[refer] ",
            Self::Vqa => "[vqa] ",
            Self::Detection => "[detection] ",
        }
    }

    /// The tag that a text begins with (after white space) and the rest without the white space around it.
    pub fn split(text: &str) -> Option<(Self, &str)> {
        let text = text.trim_start();
        Self::ALL.into_iter().find_map(|tag| Some((tag, text.strip_prefix(tag.as_str())?.trim())))
    }

    /// The text without its tag, or the whole text (trimmed) when it has none.
    pub fn strip(text: &str) -> &str {
        Self::split(text).map_or_else(|| text.trim(), |(_, rest)| rest)
    }
}

impl std::fmt::Display for TaskTag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::TaskTag;

    #[test]
    fn tags_are_found_only_at_the_beginning() {
        let rows = [
            ("[refer] the liver", Some(TaskTag::Refer), "the liver"),
            ("  [vqa]is it?", Some(TaskTag::Vqa), "is it?"),
            (
                "[identify] what is this {<1><2><3><4>}",
                Some(TaskTag::Identify),
                "what is this {<1><2><3><4>}",
            ),
            ("[grounding] ", Some(TaskTag::Grounding), ""),
            ("[detection]", Some(TaskTag::Detection), ""),
            ("see [refer] x", None, "see [refer] x"),
            ("[Refer] x", None, "[Refer] x"),
            ("", None, ""),
        ];
        for (text, tag, rest) in rows {
            assert_eq!(TaskTag::split(text).map(|(tag, _)| tag), tag, "{text}");
            assert_eq!(TaskTag::strip(text), rest, "{text}");
        }
    }
}
