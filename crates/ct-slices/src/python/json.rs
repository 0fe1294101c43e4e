//! JSON as Python's `json.dump(value, file, indent=4)` writes it, byte for byte.
//!
//! serde_json cannot: it writes NaN as `null` before a formatter sees it, and other exponents.

use serde::Serialize;
use serde::ser;

use super::number::float_repr;

/// Why a value has no JSON form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PythonJsonError {
    /// A key of an object is neither text nor a whole number nor a truth value nor null.
    #[error("the key of an object must be text, a whole number, a truth value or null")]
    Key,
    /// The value's own `Serialize` failed.
    #[error("{0}")]
    Custom(String),
}

impl ser::Error for PythonJsonError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

/// The bytes that Python's `json.dump` writes with `indent=4` and otherwise its defaults: four
/// spaces a level, keys in the order given, one list element a line, ASCII only with `\uXXXX` for
/// the rest, floats as [`float_repr`], no newline at the end (SPEC 1.5).
///
/// # Errors
/// [`PythonJsonError::Key`] for an object key that Python refuses;
/// [`PythonJsonError::Custom`] if the value's own `Serialize` fails.
pub fn to_python_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, PythonJsonError> {
    let mut writer = Writer { out: Vec::new(), depth: 0 };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

#[derive(Debug)]
struct Writer {
    out: Vec<u8>,
    depth: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn newline(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 4 * self.depth, b' ');
    }

    fn string(&mut self, text: &str) {
        self.out.push(b'"');
        for character in text.chars() {
            match character {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                '\r' => self.put("\\r"),
                '\t' => self.put("\\t"),
                '\u{8}' => self.put("\\b"),
                '\u{c}' => self.put("\\f"),
                ' '..='~' => self.put(character.encode_utf8(&mut [0; 4])),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.put(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        self.out.push(b'"');
    }

    /// Opens a list or object; `wrapped` if the object of an enum variant is around it.
    fn open(&mut self, bracket: u8, close: u8, wrapped: bool) -> Compound<'_> {
        self.out.push(bracket);
        self.depth += 1;
        Compound { writer: self, close, wrapped, is_empty: true }
    }

    /// Writes `{ "variant": `, to be ended by [`close_variant`](Self::close_variant).
    fn open_variant(&mut self, variant: &str) {
        self.out.push(b'{');
        self.depth += 1;
        self.newline();
        self.string(variant);
        self.put(": ");
    }

    fn close_variant(&mut self) {
        self.depth -= 1;
        self.newline();
        self.out.push(b'}');
    }
}

/// A list or object that is being written.
#[derive(Debug)]
struct Compound<'a> {
    writer: &'a mut Writer,
    close: u8,
    wrapped: bool,
    is_empty: bool,
}

impl Compound<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.out.push(b',');
        }
        self.writer.newline();
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PythonJsonError> {
        self.next();
        value.serialize(&mut *self.writer)
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), PythonJsonError> {
        self.next();
        // Keys are few and short: serde_json's own value tells their type.
        let text = match serde_json::to_value(key) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Number(number)) if !number.is_f64() => number.to_string(),
            Ok(serde_json::Value::Bool(truth)) => truth.to_string(),
            Ok(serde_json::Value::Null) => "null".to_owned(),
            _ => return Err(PythonJsonError::Key),
        };
        self.writer.string(&text);
        self.writer.put(": ");
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), PythonJsonError> {
        self.next();
        self.writer.string(name);
        self.writer.put(": ");
        value.serialize(&mut *self.writer)
    }

    fn finish(self) {
        self.writer.depth -= 1;
        if !self.is_empty {
            self.writer.newline();
        }
        self.writer.out.push(self.close);
        if self.wrapped {
            self.writer.close_variant();
        }
    }
}

macro_rules! write_numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<(), PythonJsonError> {
            self.put(&value.to_string());
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = PythonJsonError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    write_numbers!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128
    );

    fn serialize_f32(self, value: f32) -> Result<(), PythonJsonError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), PythonJsonError> {
        self.put(&float_repr(value));
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), PythonJsonError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), PythonJsonError> {
        self.string(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), PythonJsonError> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), PythonJsonError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), PythonJsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), PythonJsonError> {
        self.put("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), PythonJsonError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), PythonJsonError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), PythonJsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), PythonJsonError> {
        self.open_variant(variant);
        value.serialize(&mut *self)?;
        self.close_variant();
        Ok(())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'a>, PythonJsonError> {
        Ok(self.open(b'[', b']', false))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Compound<'a>, PythonJsonError> {
        Ok(self.open(b'[', b']', false))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, PythonJsonError> {
        Ok(self.open(b'[', b']', false))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, PythonJsonError> {
        self.open_variant(variant);
        Ok(self.open(b'[', b']', true))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'a>, PythonJsonError> {
        Ok(self.open(b'{', b'}', false))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, PythonJsonError> {
        Ok(self.open(b'{', b'}', false))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, PythonJsonError> {
        self.open_variant(variant);
        Ok(self.open(b'{', b'}', true))
    }
}

macro_rules! write_elements {
    ($($trait:ident: $method:ident),*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = PythonJsonError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PythonJsonError> {
                self.element(value)
            }

            fn end(self) -> Result<(), PythonJsonError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

write_elements!(
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field
);

macro_rules! write_fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = PythonJsonError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), PythonJsonError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), PythonJsonError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

write_fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = PythonJsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), PythonJsonError> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PythonJsonError> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), PythonJsonError> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(value: impl Serialize, expected: &str) {
        let bytes = to_python_json(&value).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        Newtype(f64),
        Tuple(u8, char),
        Struct { empty: [u8; 0], none: Option<u8> },
    }

    #[test]
    fn lists_and_objects_are_laid_out_as_python_does() {
        check([0_u8; 0], "[]");
        check(BTreeMap::<String, u8>::new(), "{}");
        check(
            [[1_u8, 2], [3, 4]],
            "[\n    [\n        1,\n        2\n    ],\n    [\n        3,\n        4\n    ]\n]",
        );
        check(BTreeMap::from([(2, true), (10, false)]), "{\n    \"2\": true,\n    \"10\": false\n}");
        check((f64::NAN, 1.0_f32, -0.0), "[\n    NaN,\n    1.0,\n    -0.0\n]");
    }

    #[test]
    fn enum_variants_are_objects_of_one_key() {
        check(Shape::Unit, "\"Unit\"");
        check(Shape::Newtype(1e-5), "{\n    \"Newtype\": 1e-05\n}");
        check(Shape::Tuple(1, '\u{7f}'), "{\n    \"Tuple\": [\n        1,\n        \"\\u007f\"\n    ]\n}");
        check(
            Shape::Struct { empty: [], none: None },
            "{\n    \"Struct\": {\n        \"empty\": [],\n        \"none\": null\n    }\n}",
        );
    }

    #[test]
    fn refuses_keys_that_are_lists() {
        assert_eq!(to_python_json(&BTreeMap::from([([1_u8], 2_u8)])), Err(PythonJsonError::Key));
    }
}
