//! Boxes to text to tokens and back.
#![expect(clippy::unwrap_used, reason = "helpers outside of test functions")]

use std::sync::LazyLock;

use proptest::prelude::*;
use vlm_prompt::{
    Answer, AnswerGrammar, AnswerKind, BoxDecode, BoxFormat, GridBox, PixelBox, Tokenizer, accept_at_head,
    decode_answer, parse_answer, parse_grounded, score_at_head, score_in_paper,
};

static GRAMMARS: LazyLock<[AnswerGrammar; 2]> =
    LazyLock::new(|| FORMATS.map(|format| AnswerGrammar::bounding_box(&Tokenizer::nano(), format).unwrap()));
const FORMATS: [BoxFormat; 2] = [BoxFormat::Percent100, BoxFormat::Permille1000];

fn side() -> impl Strategy<Value = u32> {
    prop_oneof![Just(512u32), Just(100), 1u32..2000]
}

proptest! {
    #[test]
    fn every_grammar_path_parses_to_its_box(thousandths in prop::array::uniform4(0u32..=1000), which in 0usize..2) {
        let (format, grammar) = (FORMATS[which], &GRAMMARS[which]);
        let values = thousandths.map(|value| value * format.max_value() / 1000);
        let tokenizer = Tokenizer::nano();
        let ids = grammar.path(&values).unwrap();
        prop_assert!(ids.len() <= grammar.max_len());
        prop_assert_eq!(&ids, &tokenizer.encode_piece(&format!("{}</s>", GridBox::from(values))).unwrap());
        let reply = decode_answer(&tokenizer, &ids).unwrap();
        prop_assert_eq!(parse_answer(&reply, AnswerKind::Box(format)), Answer::Box(values.into()));
    }

    #[test]
    fn all_rules_read_what_is_written(values in prop::array::uniform4(0u32..=999)) {
        let grid = GridBox::from(values);
        let text = grid.to_string();
        prop_assert_eq!(parse_answer(&text, AnswerKind::Box(BoxFormat::Percent100)), Answer::Box(grid));
        prop_assert_eq!(accept_at_head(&text).and_then(|stored| score_at_head(&stored)), Some(grid));
        prop_assert_eq!(score_in_paper(&text), Some(grid));
        let grounded = parse_grounded(&format!("a <p>b</p> {text} c {text}"), BoxFormat::Percent100).unwrap();
        prop_assert_eq!(grounded.phrases[0].boxes.clone(), vec![grid]);
    }

    #[test]
    fn pixels_come_back_within_one_bin(width in side(), height in side(), parts in prop::array::uniform4(0.0f64..=1.0)) {
        let edges = [0, 1, 2, 3].map(|i| parts[i] * f64::from(if i % 2 == 0 { width } else { height }));
        let pixels = PixelBox::from(edges);
        // (format, where it is read, largest distance in bins, smallest signed distance)
        let rows = [
            (BoxFormat::Percent100, BoxDecode::GridLine, 1.0),
            (BoxFormat::Percent100, BoxDecode::BinCenter, 0.5),
            (BoxFormat::Permille1000, BoxDecode::GridLine, 0.5),
        ];
        for (format, at, limit) in rows {
            let grid = format.encode(pixels, width, height).unwrap();
            prop_assert!(format.contains(grid));
            if at == BoxDecode::BinCenter && grid.is_zero() {
                continue; // stays at zero by rule
            }
            let back = format.decode(grid, width, height, at).unwrap().to_array();
            for (i, (edge, back)) in edges.into_iter().zip(back).enumerate() {
                let bin = f64::from(if i % 2 == 0 { width } else { height }) / f64::from(format.max_value());
                // 1e-9 for the rounding of f64
                prop_assert!((edge - back).abs() <= (limit + 1e-9) * bin, "{edge} {back} {bin}");
            }
        }
    }

    #[test]
    fn a_written_grid_line_is_read_and_written_again(values in prop::array::uniform4(0u32..=1000), width in side(), height in side()) {
        // Rounding makes the finer format stable; flooring does not (0.29 · 100 < 29).
        let grid = GridBox::from(values);
        let pixels = BoxFormat::Permille1000.decode(grid, width, height, BoxDecode::GridLine).unwrap();
        prop_assert_eq!(BoxFormat::Permille1000.encode(pixels, width, height).unwrap(), grid);
        let percent = GridBox::from(values.map(|value| value / 10));
        if !percent.is_zero() {
            let centers = BoxFormat::Percent100.decode(percent, width, height, BoxDecode::BinCenter).unwrap();
            prop_assert_eq!(BoxFormat::Percent100.encode(centers, width, height).unwrap(), percent);
        }
    }

    #[test]
    fn no_reply_panics(reply in "[<>{}p/delim0-9. \u{e9}-]{0,60}") {
        for format in FORMATS {
            let _ = parse_grounded(&reply, format);
            let _ = parse_answer(&reply, AnswerKind::Box(format));
        }
        let _ = accept_at_head(&reply).and_then(|stored| score_at_head(&stored));
        let _ = score_in_paper(&reply);
    }
}
