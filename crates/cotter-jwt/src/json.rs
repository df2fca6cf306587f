//! JSON, read strictly: no member twice, no nesting without end. Text stays where it stands.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// How serde_json hands a number over that it was told to keep as text: as an object with this one
/// member. Anybody in the tree can tell it so, by its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// How deep objects and arrays may nest, the outermost counted.
pub(crate) const MAX_DEPTH: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    Duplicate,
    TooDeep,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// With a fraction or an exponent, or beyond all integers.
    Float(f64),
    String(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Map<'a>),
}

/// The members of an object, in the order of their names.
#[derive(Debug, PartialEq)]
pub(crate) struct Map<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Value<'a> {
    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    pub(crate) const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

impl<'a> Map<'a> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.place(name).map(|place| &self.0[place].1)
    }

    /// Gives a member away; `null` stands in its place.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let place = self.place(name)?;
        Some(core::mem::replace(&mut self.0[place].1, Value::Null))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|(other, _)| other.as_ref().cmp(name)).ok()
    }
}

/// Reads one JSON object, and nothing after it.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<'_>, Fault> {
    let text = core::str::from_utf8(bytes).map_err(|_| Fault::Malformed)?;
    let fault = Cell::new(Fault::Malformed);
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Strict { room: MAX_DEPTH, fault: &fault, text };
    match seed.deserialize(&mut reader) {
        Ok(Value::Object(map)) if reader.end().is_ok() => Ok(map),
        Ok(_) => Err(Fault::Malformed),
        Err(_) => Err(fault.get()),
    }
}

/// Gives `take` the text of each element of the array `name` in one JSON object, not looked into:
/// whatever is odd about one element is no fault of the others.
pub(crate) fn each<'a>(
    bytes: &'a [u8],
    name: &str,
    mut take: impl FnMut(&'a str),
) -> Result<(), Fault> {
    let text = core::str::from_utf8(bytes).map_err(|_| Fault::Malformed)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_map(Member { name, take: &mut take });
    found.and_then(|()| reader.end()).map_err(|_| Fault::Malformed)
}

struct Member<'n, F> {
    name: &'n str,
    take: F,
}

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Member<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with one array {}", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key_seed(Name)? {
            if name != self.name {
                map.next_value::<IgnoredAny>()?;
            } else if found {
                return Err(A::Error::custom("a member stands twice"));
            } else {
                found = true;
                map.next_value_seed(Elements(&mut self.take))?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::custom("a member is missing")) }
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de str)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    room: usize,
    fault: &'a Cell<Fault>,
    /// All that is read.
    text: &'a str,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.room.checked_sub(1) {
            Some(room) => Ok(Self { room, ..self }),
            None => {
                self.fault.set(Fault::TooDeep);
                Err(E::custom("nested too deep"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        // What no time, size or count comes to needs no exact value.
        #[expect(clippy::cast_precision_loss, reason = "it only has to be large")]
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value<'de>, E> {
        if value.is_finite() { Ok(Value::Float(value)) } else { Err(E::custom("not finite")) }
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.into())))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut next = map.next_key_seed(Name)?;
        if let Some(Cow::Borrowed(name)) = next
            && announces_number(name, self.text)
        {
            let number = map.next_value_seed(Name)?;
            return self.visit_f64(number.parse().map_err(A::Error::custom)?);
        }
        let inner = self.deeper()?;
        // Room for a token's claims at once; inner objects are many or small, and grow.
        let room = if self.room == MAX_DEPTH { 16 } else { 0 };
        let mut members: Vec<(Cow<'de, str>, Value<'de>)> = Vec::with_capacity(room);
        while let Some(name) = next {
            members.push((name, map.next_value_seed(inner)?));
            next = map.next_key_seed(Name)?;
        }
        // Sorted once at the end: thousands of members cost no more than thousands of tokens.
        members.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            self.fault.set(Fault::Duplicate);
            return Err(A::Error::custom("a member stands twice"));
        }
        Ok(Value::Object(Map(members)))
    }
}

/// Whether a name that was not copied is serde_json's own: nobody wrote it, so it does not lie within
/// the text. No object can pass itself off as a number.
fn announces_number(name: &str, text: &str) -> bool {
    name == NUMBER && !text.as_bytes().as_ptr_range().contains(&name.as_ptr())
}

/// The name of a member.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from(value)))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer, StrDeserializer};

    use super::*;

    /// What `Strict` makes of a number that serde_json keeps as text.
    fn kept_as_text(number: &'static str) -> Option<Value<'static>> {
        let fault = Cell::new(Fault::Malformed);
        // It takes no room: a number nests nothing.
        let seed = Strict { room: 0, fault: &fault, text: "{}" };
        let (name, value) = (BorrowedStrDeserializer::new(NUMBER), StrDeserializer::new(number));
        let members = MapDeserializer::<_, Error>::new(core::iter::once((name, value)));
        seed.visit_map(members).ok()
    }

    #[test]
    fn a_number_is_a_number_when_serde_json_keeps_it_as_text_too() {
        let read = |number: &str| {
            let text = alloc::format!(r#"{{"a":{number}}}"#);
            match object(text.as_bytes()).ok()?.take("a")? {
                Value::Float(number) => Some(number),
                _ => None,
            }
        };
        for number in ["1767229200.5", "1.5e3", "-0.5", "123456789012345678901234567890"] {
            let wanted = number.parse().ok();
            assert_eq!(kept_as_text(number), wanted.map(Value::Float), "{number}");
            assert_eq!(read(number), wanted, "{number}");
        }
        assert_eq!((kept_as_text("1e999"), read("1e999")), (None, None));
    }

    #[test]
    fn an_object_cannot_pass_itself_off_as_a_number() {
        for name in [NUMBER, r"\u0024serde_json::private::Number"] {
            let text = alloc::format!(r#"{{"exp":{{"{name}":"1767229200"}}}}"#);
            let read = object(text.as_bytes()).unwrap();
            assert!(matches!(read.get("exp"), Some(Value::Object(_))), "{name}");
        }
    }

    #[test]
    fn what_is_odd_about_one_element_is_no_fault_of_the_others() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let odd =
            alloc::format!(r#"{{"o":{deep},"a":[1,{{"x":1,"x":2}}, {deep} ,1e999,"\ud800"]}}"#);
        let mut count = 0;
        each(odd.as_bytes(), "a", |_| count += 1).unwrap();
        assert_eq!(count, 5);
        for text in
            ["", "[]", "{}", r#"{"a":1}"#, r#"{"a":[]"#, r#"{"a":[]}x"#, r#"{"a":[],"a":[]}"#]
        {
            assert_eq!(each(text.as_bytes(), "a", |_| ()), Err(Fault::Malformed), "{text}");
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":[{"b":{"c":1,"c":2}}]}"#]
        {
            assert_eq!(object(text.as_bytes()), Err(Fault::Duplicate), "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| {
            let text = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
            object(alloc::format!(r#"{{"a":{text}}}"#).as_bytes()).err()
        };
        assert_eq!(nested(MAX_DEPTH), None);
        assert_eq!(nested(MAX_DEPTH + 1), Some(Fault::TooDeep));
        assert_eq!(nested(100_000), Some(Fault::TooDeep));
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for text in ["", "[]", "1", "{}{}", "{} x", "{", "null", "\u{feff}{}", r#"{"a":1e999}"#] {
            assert_eq!(object(text.as_bytes()), Err(Fault::Malformed), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Fault::Malformed));
        assert!(object(b" {} \n").is_ok());
    }
}
