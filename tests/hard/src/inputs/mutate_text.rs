//! Damage to texts: values of JSON and TOML replaced, keys renamed, lines doubled and dropped.

use rand::RngExt;
use serde_json::{Map, Value, json};

use super::mutate::{Random, damage_bytes, one_of};

/// What may stand where a JSON value stood; not all of it is JSON.
const HOSTILE_JSON: [&str; 30] = [
    "null",
    "true",
    "-1",
    "0",
    "-0.0",
    "1e308",
    "1e999",
    "-1e999",
    "1e-320",
    "0.1",
    "65536",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "NaN",
    "Infinity",
    "\"\"",
    "\"\\u0000\"",
    "\"../../etc/passwd\"",
    "\"\\ud800\"",
    "\"NaN\"",
    "\"🙂\\n\"",
    "[]",
    "{}",
    "[[]]",
    "[null,-1,1e999]",
    "{\"a\":{\"b\":[0]}}",
    "\"<p>x</p>{<0><0><100><100>}\"",
];

const HOSTILE_TOML: [&str; 22] = [
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e308",
    "1e-320",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "\"\"",
    "\"\\u0000\"",
    "\"../..\"",
    "[]",
    "{}",
    "[[1]]",
    "true",
    "1979-05-27T07:32:00Z",
    "\"🙂\"",
    "'''",
    "[nan, inf]",
    "{ a = { b = nan } }",
];

/// Changes one to three values, keys or members of a JSON document; now and then also its bytes.
///
/// A value that is no JSON (as `NaN`) is put in as text, in place of a mark.
pub(super) fn damage_json(random: &mut Random, bytes: &mut Vec<u8>) {
    let Ok(mut document) = serde_json::from_slice::<Value>(bytes) else {
        return damage_bytes(random, bytes, bytes.len());
    };
    let mut text = None;
    for _ in 0..random.random_range(1..=3) {
        let raw = change_json(random, &mut document);
        text = raw.or(text);
    }
    let mut out = document.to_string();
    if let Some(raw) = text {
        out = out.replacen(&format!("\"{MARK}\""), raw, 1);
    }
    *bytes = out.into_bytes();
    if random.random_bool(0.15) {
        damage_bytes(random, bytes, bytes.len());
    }
}

const MARK: &str = "\u{1f}mark";

/// One change somewhere; a text to put where the mark is, if there is one.
fn change_json(random: &mut Random, document: &mut Value) -> Option<&'static str> {
    // A walk down from the root, which ends anywhere.
    let mut at = document;
    loop {
        let down = match at {
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => false,
        };
        if !down || random.random_bool(0.12) {
            break;
        }
        at = match at {
            Value::Array(items) => {
                let n = items.len();
                &mut items[random.random_range(0..n)]
            }
            Value::Object(members) => {
                let n = random.random_range(0..members.len());
                members.values_mut().nth(n).expect("one of them")
            }
            _ => break,
        };
    }
    match (random.random_range(0..10), at) {
        (0, Value::Array(items)) if !items.is_empty() => {
            let n = random.random_range(0..items.len());
            let copies = vec![items[n].clone(); random.random_range(1..=40)];
            items.extend(copies);
        }
        (1, Value::Array(items)) if !items.is_empty() => {
            items.remove(random.random_range(0..items.len()));
        }
        (2, Value::Object(members)) => {
            change_key(random, members);
        }
        (3, Value::Object(members)) => {
            members
                .insert(one_of(random, &["", "x", "type", "__proto__", "\u{0}"]).to_owned(), json!([1, "x"]));
        }
        (4, place) => {
            let depth = random.random_range(1..=200);
            let inner = place.take();
            *place = (0..depth)
                .fold(inner, |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"a": inner}) });
        }
        (5, Value::String(text)) => {
            let n = random.random_range(0..=2000);
            *text = text.repeat(n / (text.len() + 1) + 1);
        }
        (6, Value::String(text)) => {
            let mut bytes = text.clone().into_bytes();
            damage_bytes(random, &mut bytes, text.len());
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        (_, place) => {
            *place = Value::String(MARK.to_owned());
            return Some(HOSTILE_JSON[random.random_range(0..HOSTILE_JSON.len())]);
        }
    }
    None
}

fn change_key(random: &mut Random, members: &mut Map<String, Value>) {
    let n = random.random_range(0..members.len().max(1));
    if let Some(key) = members.keys().nth(n).cloned() {
        let value = members.remove(&key).unwrap_or_default();
        if random.random() {
            members.insert(one_of(random, &["", "id", "from", "x y", "🙂"]).to_owned() + &key, value);
        }
    }
}

/// Doubles, drops, swaps and cuts lines, and changes their values by `change`.
pub(super) fn damage_lines(
    random: &mut Random,
    bytes: &mut Vec<u8>,
    change: &dyn Fn(&mut Random, &mut Vec<u8>),
) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..random.random_range(1..=3) {
        let n = random.random_range(0..lines.len());
        match random.random_range(0..10) {
            0 => {
                let copy = lines[n].clone();
                lines.insert(random.random_range(0..=n), copy);
            }
            1 if lines.len() > 1 => drop(lines.remove(n)),
            2 => {
                let other = random.random_range(0..lines.len());
                lines.swap(n, other);
            }
            3 if n + 1 < lines.len() => {
                let next = lines.remove(n + 1);
                lines[n].extend(next);
            }
            _ => change(random, &mut lines[n]),
        }
    }
    *bytes = lines.join(&b'\n');
    if random.random_bool(0.1) {
        damage_bytes(random, bytes, bytes.len());
    }
}

/// Replaces the value of a line `key = value`, renames its key, or opens another table.
pub(super) fn damage_toml_line(random: &mut Random, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line).into_owned();
    let changed = match (text.split_once('='), random.random_range(0..8)) {
        (Some((key, _)), 0..=4) => format!("{key}= {}", one_of(random, &HOSTILE_TOML)),
        (Some((key, value)), 5) => format!("{key}x = {value}"),
        (Some((key, value)), _) => format!("{key}.deeper.still = {value}"),
        (None, 0..=3) => one_of(random, &["[[x]]", "[stages]", "[", "[a.b.c]", "[training]", "x"]).to_owned(),
        (None, _) => text + "x = 1",
    };
    *line = changed.into_bytes();
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn documents_change_and_many_still_parse() {
        let good = br#"{"a": [1, 2, {"b": "c"}], "d": {"e": null, "f": 0.5}}"#.to_vec();
        let n_parsed = (0..500)
            .filter(|seed| {
                let mut bytes = good.clone();
                damage_json(&mut Random::seed_from_u64(*seed), &mut bytes);
                assert_ne!(bytes, good);
                serde_json::from_slice::<Value>(&bytes).is_ok()
            })
            .count();
        assert!((200..480).contains(&n_parsed), "{n_parsed}");
    }
}
