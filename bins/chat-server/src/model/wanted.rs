//! What a question asks for.

use chat_api::AnswerForm;
use ct_slices::Organ;
use vlm_prompt::TaskTag;

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Where a structure is.
    Place(Organ),
    /// Whether there is a tumor.
    Tumor,
    /// Whether another structure is to be seen.
    Visible(Organ),
    /// Where something is that has no stage.
    OtherPlace,
    /// Yes or no about something that has no stage.
    OtherYesNo,
    /// Anything else.
    Words,
}

impl Wanted {
    /// Tells by the form that is asked for, the tag and the words.
    pub(super) fn of(question: &str, form: AnswerForm) -> Self {
        let tag = TaskTag::split(question).map(|(tag, _)| tag);
        let words = Words::of(TaskTag::strip(question));
        let organ = words.organ();
        let place = organ.map_or(Self::OtherPlace, Self::Place);
        let yes_no = match organ {
            Some(Organ::Tumor) => Self::Tumor,
            Some(organ) => Self::Visible(organ),
            None => Self::OtherYesNo,
        };
        match (form, tag) {
            (AnswerForm::Text, _) => Self::Words,
            (AnswerForm::Boxes, _) | (AnswerForm::Auto, Some(TaskTag::Refer)) => place,
            (AnswerForm::YesNo, _) => yes_no,
            (AnswerForm::Auto, Some(TaskTag::Detection)) if organ.is_some() => place,
            (AnswerForm::Auto, None) if organ.is_some() && words.asks_where() => place,
            (AnswerForm::Auto, None | Some(TaskTag::Vqa)) if organ.is_some() && words.asks_whether() => {
                yes_no
            }
            (AnswerForm::Auto, _) => Self::Words,
        }
    }
}

/// Lower-case words.
struct Words(Vec<String>);

impl Words {
    fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        Self(words.map(str::to_lowercase).collect())
    }

    fn has_beginning(&self, beginnings: &[&str]) -> bool {
        self.0.iter().any(|word| beginnings.iter().any(|beginning| word.starts_with(beginning)))
    }

    fn has(&self, words: &[&str]) -> bool {
        self.0.iter().any(|word| words.contains(&word.as_str()))
    }

    /// The structure that is named. A tumor comes first: it is one of the pancreas.
    fn organ(&self) -> Option<Organ> {
        let known: [(Organ, &[&str]); 5] = [
            (
                Organ::Tumor,
                &[
                    "tumor",
                    "tumour",
                    "lesion",
                    "cancer",
                    "carcinoma",
                    "neoplas",
                    "malignan",
                    "adenocarcinoma",
                ],
            ),
            (Organ::Pancreas, &["pancrea"]),
            (Organ::Liver, &["liver", "hepatic"]),
            (Organ::Spleen, &["spleen", "splenic"]),
            (Organ::Kidney, &["kidney", "renal"]),
        ];
        let (organ, _) = known.into_iter().find(|(_, beginnings)| self.has_beginning(beginnings))?;
        // The kidney that the stage knows is the right one.
        (organ != Organ::Kidney || !self.has(&["left"])).then_some(organ)
    }

    fn asks_where(&self) -> bool {
        self.has(&["where", "location", "position", "locate", "find", "box", "boxes", "place"])
    }

    fn asks_whether(&self) -> bool {
        let first = self.0.first().map_or("", String::as_str);
        matches!(first, "is" | "are" | "does" | "do" | "can" | "has" | "could")
            || self.has(&["whether"])
            || self.0.windows(3).any(|words| matches!(words, [a, b, c] if (a, b.as_str(), c) == (&"yes".to_owned(), "or", &"no".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_by_tag_and_words() {
        let check = |question: &str, form, expected| {
            assert_eq!(Wanted::of(question, form), expected, "{question}");
        };
        let auto = AnswerForm::Auto;
        check("[refer] where is the pancreas?", auto, Wanted::Place(Organ::Pancreas));
        check("[refer] give me the location of the pancreatic tumor", auto, Wanted::Place(Organ::Tumor));
        check("[refer] Right Kidney", auto, Wanted::Place(Organ::Kidney));
        check("[refer] the left kidney", auto, Wanted::OtherPlace);
        check("[refer] the heart", auto, Wanted::OtherPlace);
        check("[detection] liver", auto, Wanted::Place(Organ::Liver));
        check("[detection] everything", auto, Wanted::Words);
        check("where is the spleen", auto, Wanted::Place(Organ::Spleen));
        check("[vqa] is there a tumor in the pancreas?", auto, Wanted::Tumor);
        check("Does the pancreas contain a tumor?", auto, Wanted::Tumor);
        check(
            "[vqa] Based on the image, respond to this question with yes or no: is the liver visible?",
            auto,
            Wanted::Visible(Organ::Liver),
        );
        check("[vqa] which organ is this?", auto, Wanted::Words);
        check("[vqa] what does the pancreas do?", auto, Wanted::Words);
        check("[identify] what is this {<1><2><3><4>}", auto, Wanted::Words);
        check("[grounding] describe this image with the pancreas", auto, Wanted::Words);
        check("tell me about the liver", auto, Wanted::Words);
        check("[refer] where is the pancreas?", AnswerForm::Text, Wanted::Words);
        check("the pancreas", AnswerForm::Boxes, Wanted::Place(Organ::Pancreas));
        check("hello", AnswerForm::Boxes, Wanted::OtherPlace);
        check("tumors", AnswerForm::YesNo, Wanted::Tumor);
        check("the pancreas", AnswerForm::YesNo, Wanted::Visible(Organ::Pancreas));
        check("hello", AnswerForm::YesNo, Wanted::OtherYesNo);
    }
}
