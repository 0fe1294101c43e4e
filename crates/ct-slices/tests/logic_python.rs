//! Python's random numbers and JSON, against what Python wrote (`fixtures/logic/generate.py`).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

use ct_slices::python::{PyRandom, float_repr, to_python_json};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Row {
    kind: String,
    seed: u64,
    arguments: Vec<Value>,
    values: Vec<Value>,
}

fn integer(value: &Value) -> u64 {
    // Written as text where a JSON reader might take it for a float.
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn index(value: &Value) -> usize {
    usize::try_from(integer(value)).unwrap()
}

fn draw(row: &Row) -> Vec<Value> {
    let mut random = PyRandom::new(row.seed);
    let arguments = row.arguments.iter();
    match row.kind.as_str() {
        "words" => {
            let words: Vec<u32> = (0..1300).map(|_| random.next_u32()).collect();
            arguments.map(|at| words[index(at)].into()).collect()
        }
        "random" => (0..row.values.len()).map(|_| random.random().into()).collect(),
        "getrandbits" => {
            let bits = |n: &Value| u32::try_from(integer(n)).unwrap();
            arguments.map(|n| random.getrandbits(bits(n)).to_string().into()).collect()
        }
        "randbelow" => arguments.map(|n| random.randbelow(integer(n)).to_string().into()).collect(),
        "shuffle" => {
            let mut items: Vec<usize> = (0..index(&row.arguments[0])).collect();
            random.shuffle(&mut items);
            items.into_iter().map(Value::from).collect()
        }
        "sample" => {
            let [n, k] = [index(&row.arguments[0]), index(&row.arguments[1])];
            random.sample_indices(n, k).unwrap().into_iter().map(Value::from).collect()
        }
        "choices_weighted" => {
            let weights: Vec<f64> = arguments.map(|w| w.as_f64().unwrap()).collect();
            let drawn = random.choices_weighted(&weights, row.values.len()).unwrap();
            drawn.into_iter().map(Value::from).collect()
        }
        "choices" => {
            let drawn = random.choices(index(&row.arguments[0]), row.values.len());
            drawn.into_iter().map(Value::from).collect()
        }
        kind => panic!("unknown kind `{kind}`"),
    }
}

#[test]
fn random_numbers_are_pythons() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("fixtures/logic/random.json")).unwrap();
    assert!(rows.len() > 50);
    for row in rows {
        assert_eq!(draw(&row), row.values, "{} seed {} {:?}", row.kind, row.seed, row.arguments);
    }
}

#[test]
fn samples_of_sample_at_most_go_on_from_the_same_state() {
    let items: Vec<usize> = (0..100).collect();
    let mut random = PyRandom::new(42);
    assert_eq!(random.sample_at_most(&items, 5), PyRandom::new(42).sample(&items, 5).unwrap());
    assert_eq!(
        PyRandom::new(42).sample_at_most(&items[..4], 9),
        PyRandom::new(42).sample(&items[..4], 4).unwrap()
    );
}

#[test]
fn floats_are_written_as_python_writes_them() {
    let rows: Vec<(String, String)> =
        serde_json::from_str(include_str!("fixtures/logic/floats.json")).unwrap();
    assert!(rows.len() > 200);
    for (bits, expected) in rows {
        let value = f64::from_bits(u64::from_str_radix(&bits, 16).unwrap());
        assert_eq!(float_repr(value), expected, "bits {bits}");
        assert_eq!(to_python_json(&value).unwrap(), expected.as_bytes(), "bits {bits}");
    }
}

#[test]
fn text_is_escaped_as_python_escapes_it() {
    let expected = include_str!("fixtures/logic/strings.json");
    let strings: Vec<String> = serde_json::from_str(expected).unwrap();
    assert_eq!(String::from_utf8(to_python_json(&strings).unwrap()).unwrap(), expected);
}
