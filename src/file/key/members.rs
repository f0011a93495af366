//! JSON objects of key files, read without copying their text: what serde
//! would copy or quote in an error may be a secret key.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use super::KeyError;

/// A JSON value, as far as key files use them.
pub(super) enum Value<'a> {
    /// Text without escapes, where it stands.
    Text(&'a str),
    /// Text with escapes, undone.
    Unescaped(Zeroizing<String>),
    List(Vec<Value<'a>>),
    Object(Members<'a>),
    /// Numbers, truth values, null.
    Other,
}

impl Value<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Unescaped(text) => Some(text),
            _ => None,
        }
    }
}

/// A JSON object.
pub(super) struct Members<'a>(Vec<(Value<'a>, Value<'a>)>);

impl<'a> Members<'a> {
    /// Parses text that is one object.
    pub(super) fn parse(json: &'a str) -> Result<Members<'a>, KeyError> {
        match serde_json::from_str(json) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err(KeyError::Json { line: 1, column: 1 }),
            Err(error) => Err(KeyError::Json {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// A member, if it is there.
    pub(super) fn get(&self, member: &'static str) -> Result<Option<&Value<'a>>, KeyError> {
        let mut found = self
            .0
            .iter()
            .filter(|(name, _)| name.text() == Some(member))
            .map(|(_, value)| value);
        let first = found.next();
        match found.next() {
            Some(_) => Err(KeyError::Twice(member)),
            None => Ok(first),
        }
    }

    /// A member that must be there.
    pub(super) fn require(
        &self,
        member: &'static str,
        kind: &'static str,
    ) -> Result<&Value<'a>, KeyError> {
        self.get(member)?.ok_or(KeyError::Missing { kind, member })
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Unescaped(Zeroizing::new(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Value::Object(Members(members)))
    }
}
