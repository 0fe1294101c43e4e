//! The page: structure, escaping, self-containment, determinism.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod support;

use cascade_report::*;
use support::parse_xml;

fn figure(alt: &str) -> Figure {
    let input = ConfidenceScatter { title: "Boxes".to_owned(), points: vec![(0.5, 0.5), (0.9, 0.8)] };
    Figure::new(confidence_scatter(&input).unwrap(), "n = 2 boxes.", alt)
}

fn report(text: &str) -> Report {
    let table = Table {
        caption: text.to_owned(),
        columns: vec![Column::text(text), Column::number("IoU")],
        rows: vec![
            Row::new([Cell::from(text), Cell::marked("0.700", Some(Mark::BelowGoal))]).highlighted(),
            Row::new([text]),
            Row::new([text, "1", "more cells than columns"]),
        ],
    };
    let nested = vec![Block::Paragraph(text.to_owned()), Block::Table(Table::default())];
    Report {
        title: text.to_owned(),
        subtitle: text.to_owned(),
        note: text.to_owned(),
        key_figures: vec![
            KeyFigure {
                label: text.to_owned(),
                value: 0.7,
                decimals: 3,
                ci95: Some((0.65, 0.75)),
                target: Target { floor: Some(0.595), goal: Some(0.75), ..Target::default() },
                note: text.to_owned(),
            },
            KeyFigure {
                value: f64::NAN,
                target: Target { floor: Some(0.5), ..Target::default() },
                ..KeyFigure::default()
            },
        ],
        provenance: vec![(text.to_owned(), text.to_owned())],
        sections: vec![
            Section::new(text).paragraph(text).warning(text).table(table),
            Section::new("Figures")
                .figure(figure(text))
                .figure_row([figure(text), figure(text)])
                .details(text, nested),
        ],
    }
}

/// The page as XML: void elements closed, the document type dropped, style sheets aside.
fn as_xml(html: &str) -> String {
    let body = html.strip_prefix("<!DOCTYPE html>\n").expect("starts with its document type");
    let mut xml = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("<meta ") {
        let (attributes, tail) = after.split_once('>').unwrap();
        xml.push_str(before);
        xml.push_str(&format!("<meta {attributes}/>"));
        rest = tail;
    }
    xml.push_str(rest);
    xml
}

#[test]
fn the_page_is_well_formed_and_complete() {
    let html = report("Pancreas").to_html();
    let elements = parse_xml(&as_xml(&html)).unwrap_or_else(|error| panic!("{error}"));
    let count = |name: &str| elements.iter().filter(|element| element.name == name).count();
    assert_eq!((count("figure"), count("figcaption"), count("table"), count("caption")), (3, 3, 2, 2));
    assert_eq!((count("h1"), count("h2"), count("nav"), count("footer"), count("main")), (1, 3, 1, 1, 1));
    assert_eq!(count("style"), 2, "the figures' style stands once");
    let ids: Vec<&str> = elements.iter().filter_map(|element| element.get("id")).collect();
    for link in elements.iter().filter(|element| element.name == "a") {
        let target =
            link.get("href").and_then(|href| href.strip_prefix('#')).expect("links stay on the page");
        assert!(ids.contains(&target), "{target}");
    }
    for plot in elements.iter().filter(|element| element.has_class("plot")) {
        assert_eq!((plot.get("role"), plot.get("aria-label")), (Some("img"), Some("Pancreas")));
    }
    let headers = elements.iter().filter(|element| element.name == "th");
    assert!(headers.clone().count() >= 6 && headers.clone().all(|header| header.get("scope").is_some()));
    for words in ["Figure 3.", "Table 2.", "no rows", "more cells than columns", "below goal"] {
        assert!(html.contains(words), "{words}");
    }
    for words in ["floor 0.595 · goal 0.750", "95 % CI 0.650 to 0.750", "not measured", "n/a", RESEARCH_NOTE]
    {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn text_is_escaped_in_every_place() {
    let hostile = "<script>alert(1)</script>\"' onload=x & \u{1}";
    let html = report(hostile).to_html();
    let elements = parse_xml(&as_xml(&html)).unwrap_or_else(|error| panic!("{error}"));
    assert!(elements.iter().all(|element| element.name != "script"));
    assert!(elements.iter().all(|element| element.get("onload").is_none()));
    // title twice, subtitle, note twice, contents, heading, and so on: none is lost, none is raw
    assert!(html.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() >= 15);
}

#[test]
fn the_page_asks_for_nothing_from_outside() {
    let html = report("Pancreas").to_html();
    let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http://", "https://", "url(", "@import", "<link", "<script", "src=\"", "javascript:"] {
        assert!(!without_namespace.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'"));
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
}

#[test]
fn the_same_report_gives_the_same_bytes_and_an_empty_one_a_page() {
    assert_eq!(report("Pancreas").to_html(), report("Pancreas").to_html());
    let empty = Report::default().to_html();
    parse_xml(&as_xml(&empty)).unwrap_or_else(|error| panic!("{error}"));
    assert!(empty.contains(RESEARCH_NOTE));
}

#[test]
fn deep_folds_end() {
    let mut blocks = vec![Block::Paragraph("innermost".to_owned())];
    for depth in 0..500 {
        blocks = vec![Block::Details { summary: format!("fold {depth}"), blocks }];
    }
    let report =
        Report { sections: vec![Section { heading: "Deep".to_owned(), blocks }], ..Report::default() };
    let html = report.to_html();
    parse_xml(&as_xml(&html)).unwrap_or_else(|error| panic!("{error}"));
    assert!(html.contains("too deeply nested to show"));
}

#[test]
fn a_page_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/report.html");
    let report = report("Pancreas");
    report.write(&path).unwrap();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), report.to_html());
    assert_eq!(fs_err::read_dir(folder.path().join("run")).unwrap().count(), 1);
}
