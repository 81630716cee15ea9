//! Writes requests of the `query` and `ec2` protocols: a form with one field for each leaf, lists numbered from 1.

use bytes::Bytes;
use http::Method;

use crate::operation::Encoded;
use crate::protocol::{Scalar, percent_encode};

/// A form under construction.
pub(crate) struct Form {
    body: String,
    /// Name of the field or structure that is being written.
    name: String,
}

/// A value that can be written into a form, at the name the form stands at.
pub(crate) trait FormValue {
    /// Writes it.
    fn write(&self, form: &mut Form);
}

impl<T: Scalar> FormValue for T {
    fn write(&self, form: &mut Form) {
        form.leaf(&self.text());
    }
}

impl Form {
    /// A form that asks for `action`.
    pub(crate) fn new(action: &str, version: &str) -> Form {
        let mut form = Form { body: String::new(), name: String::new() };
        form.put("Action", &action.to_owned());
        form.put("Version", &version.to_owned());
        form
    }

    /// A member.
    pub(crate) fn put(&mut self, name: &str, value: &impl FormValue) {
        let outer = self.name.len();
        if outer > 0 {
            self.name.push('.');
        }
        self.name.push_str(name);
        value.write(self);
        self.name.truncate(outer);
    }

    /// A member that may be absent.
    pub(crate) fn option(&mut self, name: &str, value: &Option<impl FormValue>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A list; `name` holds all that comes before the number. An empty list is an absent one.
    pub(crate) fn list(&mut self, name: &str, values: &[impl FormValue]) {
        for (number, value) in (1..).zip(values) {
            self.put(&format!("{name}.{number}"), value);
        }
    }

    fn leaf(&mut self, text: &str) {
        if !self.body.is_empty() {
            self.body.push('&');
        }
        percent_encode(&self.name, &mut self.body);
        self.body.push('=');
        // A blank is a plus sign in a form.
        for (place, word) in text.split(' ').enumerate() {
            if place > 0 {
                self.body.push('+');
            }
            percent_encode(word, &mut self.body);
        }
    }

    /// The request.
    pub(crate) fn encoded(self) -> Encoded {
        Encoded {
            method: Method::POST,
            path: "/".into(),
            query: String::new(),
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
            body: Bytes::from(self.body),
        }
    }
}
