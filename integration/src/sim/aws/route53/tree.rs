//! A small tree of an XML request.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// An element with its elements and its text.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// Reads a document; `None` when it isn't one.
pub(super) fn read(body: &[u8]) -> Option<Element> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() > 32 {
                    return None;
                }
                open.push(Element { name: start.local_name().as_ref().to_owned(), ..Element::default() });
            }
            Event::End(_) => {
                let done = open.pop()?;
                open.last_mut()?.children.push(done);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text),
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(reference) => {
                let last = open.last_mut()?;
                match resolve_predefined_entity(&reference) {
                    Some(text) => last.text.push_str(text),
                    None => last.text.push(reference.resolve_char_ref().ok()??),
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match (open.len(), open.pop()) {
        (1, Some(mut root)) if root.children.len() == 1 => root.children.pop(),
        _ => None,
    }
}
