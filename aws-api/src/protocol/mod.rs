//! The wire forms of AWS's protocols: what the generated code writes requests and reads answers with. Pure: bytes
//! in, values out.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;

pub mod errors;
pub(crate) mod query;
pub(crate) mod rest_xml;
pub(crate) mod xml;

#[cfg(test)]
mod tests;

/// A value that is one piece of text on the wire.
pub(crate) trait Scalar: Sized {
    /// What it is called when it can't be read.
    const WHAT: &'static str;
    /// As it is sent.
    fn text(&self) -> Cow<'_, str>;
    /// As it is read; `None` when `text` isn't one.
    fn parse(text: &str) -> Option<Self>;
}

impl Scalar for String {
    const WHAT: &'static str = "text";
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Scalar for bool {
    const WHAT: &'static str = "true or false";
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }
    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Scalar for i64 {
    const WHAT: &'static str = "a whole number";
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl Scalar for Timestamp {
    const WHAT: &'static str = "a time in ISO 8601 form";
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

/// What `Debug` shows in place of a secret.
pub(crate) struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// An enumeration whose unknown values are kept as text.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// Any other value, as it is on the wire. `From` never makes one for a value that has a name.
            Other(String),
        }

        impl $name {
            /// The value on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $text,)*
                    $name::Other(text) => text,
                }
            }
        }

        /// Nothing chosen: empty text, which AWS refuses.
        impl Default for $name {
            fn default() -> Self {
                $name::Other(String::new())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => $name::$variant,)*
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl crate::protocol::Scalar for $name {
            const WHAT: &'static str = "text";
            fn text(&self) -> std::borrow::Cow<'_, str> {
                std::borrow::Cow::Borrowed(self.as_str())
            }
            fn parse(text: &str) -> Option<Self> {
                Some(Self::from(text.trim()))
            }
        }
    };
}
pub(crate) use text_enum;

/// Percent-encodes all but RFC 3986's unreserved characters, onto `out`.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.extend(HEX.get(usize::from(byte >> 4)));
                out.extend(HEX.get(usize::from(byte & 15)));
            }
        }
    }
}
