//! Writes requests of the `rest-xml` protocol: path, query string, XML body.

use bytes::Bytes;
use http::Method;

use crate::operation::Encoded;
use crate::protocol::{Scalar, percent_encode};

/// A request under construction.
pub(crate) struct Request(Encoded);

impl Request {
    /// A request for `path`, which is percent-encoded already.
    pub(crate) fn new(method: Method, path: String) -> Request {
        Request(Encoded { method, path, query: String::new(), content_type: None, body: Bytes::new() })
    }

    /// A parameter of the query string.
    pub(crate) fn query(&mut self, name: &str, value: &str) {
        let query = &mut self.0.query;
        if !query.is_empty() {
            query.push('&');
        }
        percent_encode(name, query);
        query.push('=');
        percent_encode(value, query);
    }

    /// The body: an element `root` with what `write` puts into it.
    pub(crate) fn body(&mut self, root: &str, namespace: &str, write: impl FnOnce(&mut Writer)) {
        let mut writer = Writer(format!("<{root} xmlns=\"{namespace}\">"));
        write(&mut writer);
        writer.close(root);
        self.0.content_type = Some("application/xml");
        self.0.body = Bytes::from(writer.0);
    }

    /// The request.
    pub(crate) fn encoded(self) -> Encoded {
        self.0
    }
}

/// A value as a part of a path.
pub(crate) fn label(value: &str) -> String {
    let mut out = String::new();
    percent_encode(value, &mut out);
    out
}

/// What follows the last slash: answers name a zone `/hostedzone/Z1`, requests `Z1`.
pub(crate) fn last_segment(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// An XML body under construction.
pub(crate) struct Writer(String);

/// A value that can be the content of an element.
pub(crate) trait XmlValue {
    /// Writes the content.
    fn write(&self, xml: &mut Writer);
}

impl<T: Scalar> XmlValue for T {
    fn write(&self, xml: &mut Writer) {
        xml.text(&self.text());
    }
}

impl Writer {
    /// An element.
    pub(crate) fn put(&mut self, name: &str, value: &impl XmlValue) {
        self.open(name);
        value.write(self);
        self.close(name);
    }

    /// An element that may be absent.
    pub(crate) fn option(&mut self, name: &str, value: &Option<impl XmlValue>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// An element with one element `item` for each value. An empty list is an absent one.
    pub(crate) fn list(&mut self, name: &str, item: &str, values: &[impl XmlValue]) {
        if !values.is_empty() {
            self.required_list(name, item, values);
        }
    }

    /// A list that must be there, if only to be told that it is empty.
    pub(crate) fn required_list(&mut self, name: &str, item: &str, values: &[impl XmlValue]) {
        self.open(name);
        for value in values {
            self.put(item, value);
        }
        self.close(name);
    }

    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // A bare one would arrive as a line feed.
                '\r' => self.0.push_str("&#xD;"),
                other => self.0.push(other),
            }
        }
    }
}
