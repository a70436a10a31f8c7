//! Reads the members of a JSON body into values that cannot be wrong, and notes every fault before the first is answered.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::fault::Fault;

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not JSON; the text says where it stops being JSON.
    Malformed(String),
    /// It is JSON, and some of its fields cannot be accepted.
    Invalid(Vec<Fault>),
}

/// More faults than this are not listed: nobody reads them.
pub const MAX_FAULTS: usize = 100;

/// One JSON value. Numbers are kept as the text that was sent, so that no digit is lost to a float.
#[derive(Debug)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(String),
    Array,
    Object,
}

impl<'a> Json<'a> {
    /// `None` for a string that no Unicode text corresponds to, such as a lone surrogate.
    fn new(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'"' => Self::String(serde_json::from_str(text).ok()?),
            b'[' => Self::Array,
            b'{' => Self::Object,
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            _ => Self::Number(text),
        })
    }
}

impl Json<'_> {
    /// The text of a string.
    pub fn text(self) -> Result<String, String> {
        match self {
            Self::String(text) => Ok(text),
            _ => Err("must be a string".into()),
        }
    }
}

/// A whole number as JSON may write it: `3.0` is one too (JSON Schema, 6.1.1).
pub fn whole(text: &str) -> Option<u64> {
    match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// A value that one member of a body can hold. The error says what the member must be.
pub trait FromJson: Sized {
    fn from_json(json: Json<'_>) -> Result<Self, String>;
}

impl FromJson for bool {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Bool(flag) => Ok(flag),
            _ => Err("must be true or false".into()),
        }
    }
}

/// An input that is read member by member. `None` when a member was faulty; the faults are in `fields`.
pub trait FromFields: Sized {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The members of a JSON object that have not been read yet, and the faults found so far.
pub struct Fields<'a> {
    /// JSON pointer to the object.
    at: String,
    members: BTreeMap<String, &'a RawValue>,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    /// Reads a whole body. Members that `T` does not read are faults too.
    pub fn parse<T: FromFields>(body: &'a [u8]) -> Result<T, Unreadable> {
        let raw: &RawValue = serde_json::from_slice(body).map_err(|error| Unreadable::Malformed(error.to_string()))?;
        let Some(mut fields) = Self::open(raw, String::new()) else {
            return Err(Unreadable::Invalid(vec![Fault::new("", "must be an object")]));
        };
        let value = T::from_fields(&mut fields);
        let mut faults = fields.close();
        faults.truncate(MAX_FAULTS);
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(Unreadable::Invalid(faults)),
        }
    }

    /// `None` for what is no object.
    fn open(raw: &'a RawValue, at: String) -> Option<Self> {
        let object: Object<'a> = serde_json::from_str(raw.get()).ok()?;
        let mut fields = Self { at, members: object.members, faults: Vec::new() };
        for name in object.repeated {
            fields.faults.push(Fault::new(fields.pointer(&name), "must not be repeated"));
        }
        Some(fields)
    }

    /// All faults, among them the members that nobody has read.
    fn close(mut self) -> Vec<Fault> {
        let unread: Vec<_> = self.members.keys().take(MAX_FAULTS).map(|name| self.pointer(name)).collect();
        self.faults.extend(unread.into_iter().map(|pointer| Fault::new(pointer, "is not a field that can be set here")));
        self.faults
    }

    /// A JSON pointer (RFC 6901) to a member of the object.
    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }

    /// A member that must be there.
    pub fn required<T: FromJson>(&mut self, name: &str) -> Option<T> {
        let Some(raw) = self.members.remove(name) else {
            self.faults.push(Fault::new(self.pointer(name), "is required"));
            return None;
        };
        self.read(name, raw)
    }

    /// A member that may be left out, or be `null`, which is the same: `Some(None)` if it is.
    pub fn optional<T: FromJson>(&mut self, name: &str) -> Option<Option<T>> {
        match self.members.remove(name) {
            Some(raw) if raw.get() != "null" => self.read(name, raw).map(Some),
            _ => Some(None),
        }
    }

    /// A member that may be left out, and that `null` clears: `T` reads `null` as having none.
    pub fn clearable<T: FromJson>(&mut self, name: &str) -> Option<Option<T>> {
        match self.members.remove(name) {
            Some(raw) => self.read(name, raw).map(Some),
            None => Some(None),
        }
    }

    /// An object that may be left out, and that `null` empties.
    pub fn clearable_object<T: FromFields + Default>(&mut self, name: &str) -> Option<Option<T>> {
        let Some(raw) = self.members.remove(name) else { return Some(None) };
        if raw.get() == "null" {
            return Some(Some(T::default()));
        }
        let at = self.pointer(name);
        let Some(mut fields) = Fields::open(raw, at.clone()) else {
            self.faults.push(Fault::new(at, "must be an object"));
            return None;
        };
        let value = T::from_fields(&mut fields);
        self.faults.extend(fields.close());
        value.map(Some)
    }

    /// The names of the members that have not been read yet, for an object that has whatever its sender wants.
    pub fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    fn read<T: FromJson>(&mut self, name: &str, raw: &RawValue) -> Option<T> {
        let read = match Json::new(raw) {
            Some(json) => T::from_json(json),
            None => Err("must be Unicode text".into()),
        };
        match read {
            Ok(value) => Some(value),
            Err(detail) => {
                self.faults.push(Fault::new(self.pointer(name), detail));
                None
            }
        }
    }

    /// A member that holds objects, at most `max` of them; none if it is left out or `null`.
    pub fn list<T: FromFields>(&mut self, name: &str, max: usize) -> Option<Vec<T>> {
        let Some(raw) = self.members.remove(name).filter(|raw| raw.get() != "null") else {
            return Some(Vec::new());
        };
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            self.faults.push(Fault::new(self.pointer(name), "must be an array"));
            return None;
        };
        if entries.len() > max {
            self.faults.push(Fault::new(self.pointer(name), format!("must have at most {max} entries")));
            return None;
        }
        let mut values = Vec::with_capacity(entries.len());
        for (index, raw) in entries.iter().enumerate() {
            let at = format!("{}/{index}", self.pointer(name));
            let Some(mut fields) = Fields::open(raw, at.clone()) else {
                self.faults.push(Fault::new(at, "must be an object"));
                continue;
            };
            values.extend(T::from_fields(&mut fields));
            self.faults.extend(fields.close());
        }
        (values.len() == entries.len()).then_some(values)
    }

    /// Takes members that are not read for granted, whatever they are.
    pub fn ignore_rest(&mut self) {
        self.members.clear();
    }

    /// Notes a fault of the object as a whole.
    pub fn fault(&mut self, detail: impl Into<String>) {
        self.faults.push(Fault::new(self.at.clone(), detail));
    }

    /// Notes a fault of a member.
    pub fn fault_of(&mut self, name: &str, detail: impl Into<String>) {
        self.faults.push(Fault::new(self.pointer(name), detail));
    }

    /// Whether nothing has been found wrong so far.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.members.is_empty()
    }
}

/// An object's members as they were sent, and the names that came more than once.
struct Object<'a> {
    members: BTreeMap<String, &'a RawValue>,
    repeated: Vec<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = BTreeMap::new();
                let mut repeated = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    match members.entry(name) {
                        Entry::Vacant(entry) => {
                            entry.insert(value);
                        }
                        Entry::Occupied(entry) if repeated.len() < MAX_FAULTS => repeated.push(entry.key().clone()),
                        Entry::Occupied(_) => {}
                    }
                }
                Ok(Object { members, repeated })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a body is read as, or JSON pointers to what is wrong with it.
    pub(crate) fn read<T: FromFields>(body: &str) -> Result<T, Vec<String>> {
        match Fields::parse(body.as_bytes()) {
            Ok(value) => Ok(value),
            Err(Unreadable::Invalid(faults)) => Err(faults.into_iter().map(|fault| fault.pointer).collect()),
            Err(Unreadable::Malformed(error)) => panic!("{body}: {error}"),
        }
    }

    /// JSON pointers to what is wrong with a body: none, if it can be read.
    pub(crate) fn faults<T: FromFields>(body: &str) -> Vec<String> {
        read::<T>(body).err().unwrap_or_default()
    }

    #[test]
    fn whole_numbers_may_have_zeros_behind_the_point() {
        for (text, expected) in [
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("3.000", Some(3)),
            ("0.0", Some(0)),
            ("3.5", None),
            ("-3", None),
            ("-3.0", None),
            ("3e1", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    /// The digits of a number, or a text.
    #[derive(Debug, PartialEq)]
    struct Digits(String);

    impl FromJson for Digits {
        fn from_json(json: Json<'_>) -> Result<Self, String> {
            match json {
                Json::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => Ok(Self(text.to_owned())),
                Json::String(text) if text.starts_with(|first: char| first.is_ascii_digit()) => Ok(Self(text)),
                _ => Err("must be digits".into()),
            }
        }
    }

    /// A text that `null` clears.
    #[derive(Debug, PartialEq)]
    struct Note(Option<String>);

    impl FromJson for Note {
        fn from_json(json: Json<'_>) -> Result<Self, String> {
            match json {
                Json::Null => Ok(Self(None)),
                json => json.text().map(Some).map(Self),
            }
        }
    }

    #[derive(Debug)]
    struct Pair(Digits, Option<Digits>);

    impl FromFields for Pair {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
            let one = fields.required("one");
            let two = fields.optional("two");
            Some(Self(one?, two?))
        }
    }

    #[test]
    fn numbers_keep_the_digits_that_were_sent() {
        let Pair(one, two) = Fields::parse(br#"{"one": 0.30, "two": "9999999999.99"}"#).unwrap();
        assert_eq!((one.0, two.unwrap().0), ("0.30".to_owned(), "9999999999.99".to_owned()));
    }

    #[test]
    fn all_faults_are_named_at_once() {
        assert_eq!(faults::<Pair>(r#"{"two": "x", "a/b~c": 1}"#), ["/one", "/two", "/a~1b~0c"]);
        assert_eq!(faults::<Pair>(r#"{"one": 1, "one": 2}"#), ["/one"]);
        assert_eq!(faults::<Pair>(r#"{"one": "\ud800"}"#), ["/one"]);
        assert_eq!(faults::<Pair>(r#"{"one": 1e400}"#), ["/one"]);
        assert_eq!(faults::<Pair>("[]"), [""]);
        assert_eq!(faults::<Pair>("null"), [""]);
    }

    #[derive(Debug)]
    struct Kinds(Option<Digits>, Option<Note>, Vec<Pair>);

    impl FromFields for Kinds {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
            let (optional, clearable) = (fields.optional("optional"), fields.clearable("clearable"));
            let list = fields.list("list", 2);
            Some(Self(optional?, clearable?, list?))
        }
    }

    #[test]
    fn null_is_nothing_except_where_it_clears() {
        let left_out = Fields::parse::<Kinds>(b"{}").unwrap();
        assert!(matches!(left_out, Kinds(None, None, list) if list.is_empty()));
        let null = Fields::parse::<Kinds>(br#"{"optional": null, "clearable": null, "list" : null }"#).unwrap();
        assert!(matches!(null, Kinds(None, Some(cleared), list) if cleared == Note(None) && list.is_empty()));

        assert_eq!(faults::<Pair>(r#"{"one": null, "two": null}"#), ["/one"], "what is required is not nothing");
        assert!(Fields::parse::<Kinds>(br#"{"list": [null]}"#).is_err());
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for body in [&b""[..], b"{", b"{\"one\": NaN}", b"{\"one\": 01}", b"{} {}", b"\xff", b"{\"\xff\": 1}", b"{\"one\": 1,}"] {
            assert!(matches!(Fields::parse::<Pair>(body), Err(Unreadable::Malformed(_))), "{body:?}");
        }
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let body = format!("{{{}}}", (0..5000).map(|n| format!("\"x{n}\":0")).collect::<Vec<_>>().join(","));
        assert_eq!(faults::<Pair>(&body).len(), MAX_FAULTS);
    }
}
