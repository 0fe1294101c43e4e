//! Published vectors of boxes, replies and grounded text.

use vlm_prompt::{
    Answer, AnswerKind, BoxDecode, BoxFormat, GridBox, YesNoRule, accept_at_head, four_integers,
    parse_answer, parse_grounded, parse_yes_no, score_at_head, score_in_paper,
};

const PERCENT: AnswerKind = AnswerKind::Box(BoxFormat::Percent100);
const BOX: [u32; 4] = [38, 45, 46, 50];

/// One reply under all three rules: (era H accepts, era H scores, era P scores, one rule for all).
fn check(
    reply: &str,
    accepted: bool,
    head: Option<[u32; 4]>,
    paper: Option<[u32; 4]>,
    ours: Option<[u32; 4]>,
) {
    let stored = accept_at_head(reply);
    assert_eq!(stored.is_some(), accepted, "{reply}: accepted");
    assert_eq!(stored.and_then(|stored| score_at_head(&stored)), head.map(GridBox::from), "{reply}: head");
    assert_eq!(score_in_paper(reply), paper.map(GridBox::from), "{reply}: paper");
    let expected = ours.map_or_else(|| Answer::Unparsed(reply.to_owned()), |grid| Answer::Box(grid.into()));
    assert_eq!(parse_answer(reply, PERCENT), expected, "{reply}");
}

#[test]
fn replies() {
    let all = Some(BOX);
    check("{<38><45><46><50>}", true, all, all, all);
    check("{ <38> <45><46> <50> }", true, all, all, all);
    check("<unk>{<38><45><46><50>}", true, all, all, all);
    check(" <unk> {<38><45><46><50>}\n", true, all, all, all);
    check("{<38><45><46><50>", false, None, all, None);
    check("{<38><45><46><50>}.", true, all, all, all);
    // A trailing digit or a second box is accepted and then rejected by the published scorer, never by ours.
    check("{<38><45><46><50>}1", true, None, None, all);
    check("{<38><45><46><50>}{<1><2><3><4>}", true, None, None, all);
    check("the pancreas is {<38><45><46><50>}", false, None, all, all);
    check("{<1000><0><5><7>}", false, None, Some([1000, 0, 5, 7]), None);
    check("{<38.5><45><46><50>}", false, None, None, None);
    check("{<999><0><5><7>}", true, Some([999, 0, 5, 7]), Some([999, 0, 5, 7]), Some([999, 0, 5, 7]));
    check("{<0><0><0><0>}", true, Some([0; 4]), Some([0; 4]), Some([0; 4]));
    check("{<50><50><40><60>}", true, Some([50, 50, 40, 60]), Some([50, 50, 40, 60]), Some([50, 50, 40, 60]));
    check("", false, None, None, None);
    check("{<1><2><3>} {<38><45><46><50>}", false, None, None, all);
    check("{{<38><45><46><50>}", false, None, all, all);
    check("{<><45><46><50>}", false, None, None, None);
    check("{<99999999999999999999><1><2><3>}", false, None, None, None);
    check("{<٣><45><46><50>}", false, None, None, None);
}

#[test]
fn a_finer_grid_has_four_digits() {
    let kind = AnswerKind::Box(BoxFormat::Permille1000);
    assert_eq!(parse_answer("{<1000><0><5><7>}", kind), Answer::Box([1000, 0, 5, 7].into()));
    assert_eq!(parse_answer("{<10000><0><5><7>}", kind), Answer::Unparsed("{<10000><0><5><7>}".to_owned()));
}

#[test]
fn yes_and_no() {
    let rows = [
        ("yes", Some(true), Some(true)),
        (" no\n", Some(false), Some(false)),
        ("Yes", None, Some(true)),
        ("no.", None, Some(false)),
        ("Yes, there is a tumor.", None, Some(true)),
        ("No tumor; yes?", None, Some(false)),
        ("<unk>yes", None, Some(true)),
        ("yesterday", None, None),
        ("none", None, None),
        ("there is none", None, None),
        ("", None, None),
        ("?!", None, None),
    ];
    for (reply, exact, first_word) in rows {
        assert_eq!(parse_yes_no(reply, YesNoRule::Exact), exact, "{reply:?}");
        assert_eq!(parse_yes_no(reply, YesNoRule::FirstWord), first_word, "{reply:?}");
    }
    assert_eq!(
        parse_answer("maybe", AnswerKind::YesNo(YesNoRule::FirstWord)),
        Answer::Unparsed("maybe".to_owned())
    );
    assert_eq!(parse_answer(" a mass ", AnswerKind::Text), Answer::Text("a mass".to_owned()));
}

#[test]
fn scaling_to_pixels_and_to_the_drawn_picture() {
    // SPEC 5.7: the picture is 500 px wide and its boxes are cut to whole pixels.
    let rows = [
        (512, 512, 500, [190, 225, 230, 250]),
        (640, 480, 375, [190, 168, 230, 187]),
        (92, 55, 298, [190, 134, 230, 149]),
    ];
    for (width, height, drawn_height, expected) in rows {
        assert_eq!(drawn_height, 500 * height / width);
        let pixels = BoxFormat::Percent100
            .decode(BOX.into(), 500, drawn_height, BoxDecode::GridLine)
            .unwrap()
            .to_array();
        assert_eq!(pixels.map(f64::trunc), expected.map(f64::from));
    }
    let pixels = BoxFormat::Percent100.decode(BOX.into(), 512, 512, BoxDecode::GridLine).unwrap().to_array();
    for (got, expected) in pixels.into_iter().zip([194.56, 230.4, 235.52, 256.0]) {
        assert!((got - expected).abs() < 1e-9, "{got} {expected}");
    }
}

#[test]
fn grounded_phrases() {
    let reply = "<p>liver</p> {<10><20><30><40>}<delim>{<1><2><3><4>} and <p>spleen</p> {<5><6><7><8>} tail";
    let grounded = parse_grounded(reply, BoxFormat::Percent100).unwrap();
    assert_eq!(grounded.text, "liver and spleen");
    let found: Vec<_> =
        grounded.phrases.iter().map(|phrase| (phrase.phrase.as_str(), phrase.boxes.clone())).collect();
    assert_eq!(
        found,
        [
            ("liver", vec![[10, 20, 30, 40].into(), [1, 2, 3, 4].into()]),
            ("spleen", vec![[5, 6, 7, 8].into()]),
        ]
    );
    for phrase in &grounded.phrases {
        assert_eq!(grounded.text[phrase.span.clone()], phrase.phrase);
    }
}

#[test]
fn text_that_is_not_grounded() {
    for reply in [
        "<p>a</p> {<1><2><3><4>",
        "{<1><2><3><4>}",
        "<p>a</p> b {<1><2><3><4>}",
        "<p>a {<1><2><3><4>}",
        "<p>a</p>",
        "</p><p>}",
        "",
    ] {
        assert_eq!(parse_grounded(reply, BoxFormat::Percent100), None, "{reply}");
    }
    let grounded = parse_grounded("<p>x <p>y</p>{<1><2><3><4>}", BoxFormat::Percent100).unwrap();
    assert_eq!((grounded.text.as_str(), grounded.phrases[0].phrase.as_str()), ("<p>x y", "y"));
}

#[test]
fn exactly_four_integers() {
    let rows = [
        ("<p>a</p> {<1><2><3><4>", Some([1, 2, 3, 4])),
        ("[identify] what is this {<4><50><30><65>}", Some([4, 50, 30, 65])),
        ("[identify] what is this", None),
        ("1 2 3", None),
        ("1 2 3 4 5", None),
        ("1, 2, 3 and 4", Some([1, 2, 3, 4])),
    ];
    for (text, expected) in rows {
        assert_eq!(four_integers(text), expected.map(GridBox::from), "{text}");
    }
}

#[test]
fn settings_have_stable_names() {
    let names = (BoxFormat::Percent100, BoxFormat::Permille1000, BoxDecode::BinCenter, YesNoRule::FirstWord);
    assert_eq!(serde_json::to_string(&names).unwrap(), r#"["percent","permille","bin_center","first_word"]"#);
    assert_eq!(serde_json::to_string(&GridBox::from(BOX)).unwrap(), "[38,45,46,50]");
    assert_eq!(serde_json::from_str::<GridBox>("[38,45,46,50]").unwrap(), BOX.into());
}
