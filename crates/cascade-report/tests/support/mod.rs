//! A small XML reader for tests, and inputs that several tests share.

/// An element or its text, in document order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Element {
    /// Tag name.
    pub(crate) name: String,
    /// Attributes in order.
    pub(crate) attributes: Vec<(String, String)>,
    /// Text directly after the start tag.
    pub(crate) text: String,
}

impl Element {
    /// An attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// An attribute as a number.
    #[allow(dead_code, reason = "not every test measures")]
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} of {self:?}"))
    }

    /// Whether the class list holds `class`.
    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.get("class").is_some_and(|classes| classes.split(' ').any(|own| own == class))
    }
}

/// Reads a document with one root; says what is not well-formed.
pub(crate) fn parse_xml(document: &str) -> Result<Vec<Element>, String> {
    let mut elements = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = document;
    let mut n_roots = 0;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        check_text(text)?;
        if open.is_empty() && !text.trim().is_empty() {
            return Err(format!("text outside the root: {text:?}"));
        }
        let end = tag_end(&rest[start..]).ok_or("a tag never ends")? + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(expected) if expected == name => {}
                other => return Err(format!("</{name}> closes {other:?}")),
            }
            continue;
        }
        let is_empty = tag.ends_with('/');
        let element = parse_tag(tag.trim_end_matches('/'), rest)?;
        if open.is_empty() {
            n_roots += 1;
        }
        if !is_empty {
            open.push(element.name.clone());
        }
        elements.push(element);
    }
    if !open.is_empty() || n_roots != 1 || !rest.trim().is_empty() {
        return Err(format!("{open:?} left open, {n_roots} roots, {rest:?} at the end"));
    }
    Ok(elements)
}

fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (place, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return Some(place),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

fn parse_tag(tag: &str, rest: &str) -> Result<Element, String> {
    let (name, mut attributes_text) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("tag name {name:?}"));
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !attributes_text.trim().is_empty() {
        let (key, after) =
            attributes_text.trim_start().split_once("=\"").ok_or(format!("attributes of {tag}"))?;
        let (value, after) = after.split_once('"').ok_or(format!("no closing quote in {tag}"))?;
        check_text(value)?;
        if value.contains('<') || attributes.iter().any(|(known, _)| known == key) {
            return Err(format!("attribute {key} of {tag}"));
        }
        attributes.push((key.to_owned(), value.to_owned()));
        attributes_text = after;
    }
    let text = rest.split('<').next().unwrap_or_default().to_owned();
    Ok(Element { name: name.to_owned(), attributes, text })
}

/// References must be known, and control characters absent.
fn check_text(text: &str) -> Result<(), String> {
    for piece in text.split('&').skip(1) {
        let reference = piece.split(';').next().unwrap_or_default();
        if !piece.contains(';') || !["amp", "lt", "gt", "quot", "#39"].contains(&reference) {
            return Err(format!("reference &{reference}"));
        }
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        Some(control) => Err(format!("control character {control:?}")),
        None => Ok(()),
    }
}

/// A gray PNG of noise, which does not compress.
#[allow(dead_code, reason = "not every test draws images")]
pub(crate) fn noise_png(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let pixels: Vec<u8> = (0..width * height)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}
