//! Requests from JSON and answers to JSON, by the names of AWS's model. The generated files say which field is which
//! member; here is how values are read and written.
//!
//! What our types can't tell apart is one value here: a list that is absent and one that is empty.

use std::pin::Pin;

use aws_api::{Client, Encoded, Error, Operation, Paged};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A value that a request can have.
pub trait FromJson: Sized {
    /// Reads it.
    fn from_json(value: &Value) -> Result<Self, String>;

    /// What it is where the member isn't there.
    fn absent() -> Option<Self> {
        None
    }
}

/// A value that an answer can have.
pub trait ToJson {
    /// Writes it; `None` where the member isn't there.
    fn to_json(&self) -> Option<Value>;
}

macro_rules! scalar {
    ($type:ty, $read:expr, $write:expr) => {
        impl FromJson for $type {
            fn from_json(value: &Value) -> Result<Self, String> {
                #[allow(clippy::redundant_closure_call)]
                $read(value).ok_or_else(|| format!("{value} where {} is expected", stringify!($type)))
            }
        }

        impl ToJson for $type {
            fn to_json(&self) -> Option<Value> {
                #[allow(clippy::redundant_closure_call)]
                Some($write(self))
            }
        }
    };
}
scalar!(String, |value: &Value| value.as_str().map(str::to_owned), |text: &String| json!(text));
scalar!(bool, Value::as_bool, |it: &bool| json!(it));
scalar!(i64, Value::as_i64, |number: &i64| json!(number));
scalar!(Timestamp, |value: &Value| value.as_str()?.parse().ok(), |time: &Timestamp| json!(time.to_string()));

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: &Value) -> Result<Self, String> {
        T::from_json(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self) -> Option<Value> {
        self.as_ref().and_then(T::to_json)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: &Value) -> Result<Self, String> {
        let entries = value.as_array().ok_or_else(|| format!("{value} where a list is expected"))?;
        entries.iter().map(T::from_json).collect()
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self) -> Option<Value> {
        let entries: Vec<Value> = self.iter().filter_map(T::to_json).collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }
}

/// An answer that holds nothing.
impl ToJson for () {
    fn to_json(&self) -> Option<Value> {
        Some(json!({}))
    }
}

/// The members of an object, none but `known`.
pub fn members<'a>(value: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object().ok_or_else(|| format!("{value} where an object is expected"))?;
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(odd) => Err(format!("the member {odd} isn't known")),
        None => Ok(object),
    }
}

/// A member of an object.
pub fn member<T: FromJson>(object: &Map<String, Value>, name: &str) -> Result<T, String> {
    match object.get(name) {
        Some(value) => T::from_json(value).map_err(|error| format!("{name}: {error}")),
        None => T::absent().ok_or_else(|| format!("{name} is missing")),
    }
}

/// A structure of requests: its fields and the members' names.
macro_rules! from_json {
    ($type:path { $($field:ident: $name:literal),* $(,)? }) => {
        impl $crate::oracle::json::FromJson for $type {
            fn from_json(value: &serde_json::Value) -> Result<Self, String> {
                let _members = $crate::oracle::json::members(value, &[$($name),*])?;
                Ok(Self { $($field: $crate::oracle::json::member(_members, $name)?),* })
            }
        }
    };
}
pub(crate) use from_json;

/// A structure of answers: its fields and the members' names.
macro_rules! to_json {
    ($type:path { $($field:ident: $name:literal),* $(,)? }) => {
        impl $crate::oracle::json::ToJson for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                let mut members = serde_json::Map::new();
                $(
                    if let Some(value) = $crate::oracle::json::ToJson::to_json(&self.$field) {
                        members.insert($name.to_owned(), value);
                    }
                )*
                Some(serde_json::Value::Object(members))
            }
        }
    };
}
pub(crate) use to_json;

/// An enumeration.
macro_rules! text_json {
    ($type:path) => {
        impl $crate::oracle::json::FromJson for $type {
            fn from_json(value: &serde_json::Value) -> Result<Self, String> {
                <String as $crate::oracle::json::FromJson>::from_json(value).map(|text| Self::from(text.as_str()))
            }
        }

        impl $crate::oracle::json::ToJson for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::from(self.as_str()))
            }
        }
    };
}
pub(crate) use text_json;

/// A call that goes on.
pub type Call<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// An operation whose types are hidden behind JSON.
pub struct Case {
    /// The request with an input.
    pub encode: fn(&Value) -> Result<Encoded, String>,
    /// What an answer holds.
    pub decode: fn(&[u8]) -> Result<Value, String>,
    /// Sends the request with an input.
    pub send: for<'a> fn(&'a Client, &'a Value) -> Result<Call<'a>, String>,
    /// The request for the page after an answer, where the operation has pages: `None` after the last one.
    pub next: Option<fn(&Value, &[u8]) -> Result<Option<Encoded>, String>>,
}

impl Case {
    /// An operation without pages.
    pub const fn plain<O: Operation + FromJson + 'static>() -> Self
    where
        O::Output: ToJson,
    {
        Self { encode: encode::<O>, decode: decode::<O>, send: send::<O>, next: None }
    }

    /// An operation with pages.
    pub const fn paged<O: Paged + FromJson + 'static>() -> Self
    where
        O::Output: ToJson,
    {
        Self { encode: encode::<O>, decode: decode::<O>, send: send::<O>, next: Some(next::<O>) }
    }
}

fn encode<O: Operation + FromJson>(input: &Value) -> Result<Encoded, String> {
    Ok(O::from_json(input)?.encode())
}

fn decode<O: Operation>(body: &[u8]) -> Result<Value, String>
where
    O::Output: ToJson,
{
    let output = O::decode(body).map_err(|error| error.to_string())?;
    Ok(output.to_json().unwrap_or(Value::Null))
}

fn send<'a, O: Operation + FromJson + 'static>(client: &'a Client, input: &'a Value) -> Result<Call<'a>, String> {
    let operation = O::from_json(input)?;
    Ok(Box::pin(async move { client.send(&operation).await.map(|_| ()) }))
}

fn next<O: Paged + FromJson>(input: &Value, body: &[u8]) -> Result<Option<Encoded>, String> {
    let page = O::decode(body).map_err(|error| error.to_string())?;
    Ok(O::from_json(input)?.next(&page).map(|request| request.encode()))
}
