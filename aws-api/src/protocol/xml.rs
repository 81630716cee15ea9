//! Reads answers: a pull parser over a whole body, for one pass and without a tree. Takes any bytes without a
//! panic, in memory that grows no faster than the body; says where and what when a body isn't as it should be.
//!
//! Of a value that is there twice the last one counts, lists that are there twice are one: nothing listed is lost.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use crate::error::ParseError;
use crate::protocol::Scalar;
use crate::transport::MAX_ANSWER;

/// Elements within elements. Answers have about ten levels.
const MAX_DEPTH: usize = 64;
/// Bytes that lists may take for each byte of body: real entries take about one, empty ones up to a hundred.
const ENTRY_BYTES_PER_BYTE: usize = 8;
/// Bytes that the lists of any body may take.
const ENTRY_BYTES: usize = 64 * 1024;
/// How much of a bad body or value is quoted.
const QUOTED_CHARS: usize = 32;

/// A value that can be read from an element.
pub(crate) trait FromXml: Sized {
    /// Whether it holds secrets: no value is quoted when a document of it can't be read.
    const SECRET: bool = false;

    /// Reads the rest of the element whose start was just read.
    fn from_xml(xml: &mut Reader<'_>) -> Result<Self, ParseError>;
}

impl<T: Scalar> FromXml for T {
    fn from_xml(xml: &mut Reader<'_>) -> Result<Self, ParseError> {
        T::parse(xml.text()?).map_err(|text| {
            let shown = if xml.secret { "something".to_owned() } else { quoted(&text) };
            xml.error(&format!("{shown} where {} is expected", T::WHAT))
        })
    }
}

/// A document whose root is `root` and holds a `T`.
pub(crate) fn document<T: FromXml>(body: &[u8], root: &str) -> Result<T, ParseError> {
    let mut xml = Reader::new(body, T::SECRET)?;
    xml.expect_root(root)?;
    let value = xml.read()?;
    xml.finish()?;
    Ok(value)
}

/// A document whose root is `root` and holds a `T` in the element `wrapper`.
pub(crate) fn wrapped_document<T: FromXml>(body: &[u8], root: &str, wrapper: &str) -> Result<T, ParseError> {
    let mut xml = Reader::new(body, T::SECRET)?;
    xml.expect_root(root)?;
    let mut value = None;
    while let Some(element) = xml.child()? {
        if element == wrapper {
            value = Some(xml.read()?);
        } else {
            xml.skip()?;
        }
    }
    xml.finish()?;
    required(root, wrapper, value)
}

/// A document whose root is `root`, with nothing in it but that the request was carried out. EC2 says `return` where
/// there is nothing else to say, and `requestId` always: an answer without both isn't whole, and proves nothing.
pub(crate) fn acknowledgement(body: &[u8], root: &str) -> Result<(), ParseError> {
    let mut xml = Reader::new(body, false)?;
    xml.expect_root(root)?;
    let mut done = None;
    while let Some(element) = xml.child()? {
        match element {
            "return" => done = Some(xml.read()?),
            "requestId" => {
                xml.skip()?;
                done = done.or(Some(true));
            }
            _ => xml.skip()?,
        }
    }
    xml.finish()?;
    match required(root, "requestId", done)? {
        true => Ok(()),
        false => Err(ParseError(format!("{root} says that it wasn't done"))),
    }
}

/// A member that is always there.
pub(crate) fn required<T>(structure: &str, member: &str, value: Option<T>) -> Result<T, ParseError> {
    value.ok_or_else(|| ParseError(format!("{structure} lacks {member}")))
}

/// A page that says there is more must say where: it would pass for the last one otherwise.
pub(crate) fn next_page_is_known<T: Scalar>(
    structure: &str,
    more: bool,
    member: &str,
    token: &Option<T>,
) -> Result<(), ParseError> {
    let known = token.as_ref().is_some_and(|token| !token.text().is_empty());
    if more && !known {
        return Err(ParseError(format!("{structure} says that there is more, but lacks {member}")));
    }
    Ok(())
}

/// Reads a body from start to end.
pub(crate) struct Reader<'a> {
    events: quick_xml::Reader<&'a [u8]>,
    /// The element that was entered last.
    name: String,
    depth: usize,
    /// Bytes that lists may still take.
    entry_bytes: usize,
    /// Whether no value may be quoted.
    secret: bool,
}

impl<'a> Reader<'a> {
    /// Stands before the root. Of a `secret` document no value is quoted.
    pub(crate) fn new(body: &'a [u8], secret: bool) -> Result<Self, ParseError> {
        if body.len() > MAX_ANSWER {
            return Err(ParseError(format!("a body of {} bytes is too large", body.len())));
        }
        let text = match std::str::from_utf8(body) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                return Err(ParseError(format!("the body isn't UTF-8 at byte {}", error.valid_up_to())));
            }
        };
        if text.trim().is_empty() {
            return Err(ParseError("the body is empty".into()));
        }
        if !text.trim_start().starts_with('<') {
            let starts = if secret { String::new() } else { format!(", it starts with {}", quoted(text)) };
            return Err(ParseError(format!("the body isn't XML{starts}")));
        }
        // As every XML parser has it; a hole of zeros isn't data.
        if let Some(place) = first_forbidden(body) {
            return Err(ParseError(format!("a control character, which XML doesn't allow, at byte {place}")));
        }
        let mut events = quick_xml::Reader::from_str(text);
        events.config_mut().expand_empty_elements = true;
        Ok(Reader {
            events,
            name: String::new(),
            depth: 0,
            entry_bytes: text.len().saturating_mul(ENTRY_BYTES_PER_BYTE).saturating_add(ENTRY_BYTES),
            secret,
        })
    }

    /// Enters the root, whatever its name.
    pub(crate) fn root(&mut self) -> Result<&str, ParseError> {
        loop {
            match self.event()? {
                Event::Start(_) => return Ok(&self.name),
                Event::Text(text) if text.trim().is_empty() => {}
                _ => return Err(self.error("text before the first element")),
            }
        }
    }

    fn expect_root(&mut self, wanted: &str) -> Result<(), ParseError> {
        let found = self.root()?;
        if found != wanted {
            return Err(ParseError(format!("found <{}> where <{wanted}> is expected", cut(found))));
        }
        Ok(())
    }

    /// Enters the next element within the one it stands in; `None` at the end of that.
    pub(crate) fn child(&mut self) -> Result<Option<&str>, ParseError> {
        loop {
            match self.event()? {
                Event::Start(_) => return Ok(Some(&self.name)),
                Event::End(_) => return Ok(None),
                _ => {}
            }
        }
    }

    /// Reads the element that was entered.
    pub(crate) fn read<T: FromXml>(&mut self) -> Result<T, ParseError> {
        T::from_xml(self)
    }

    /// Reads the element that was entered as a list of `item`, onto `into`.
    pub(crate) fn list<T: FromXml>(&mut self, item: &str, into: &mut Vec<T>) -> Result<(), ParseError> {
        while let Some(element) = self.child()? {
            if element == item {
                self.entry(into)?;
            } else {
                self.skip()?;
            }
        }
        Ok(())
    }

    /// Reads the element that was entered as an entry of a list, onto `into`.
    pub(crate) fn entry<T: FromXml>(&mut self, into: &mut Vec<T>) -> Result<(), ParseError> {
        if into.len() == into.capacity() {
            // Many lists have one entry; others double, as `Vec` does it.
            let more = into.capacity().max(1);
            match more.checked_mul(size_of::<T>()).and_then(|bytes| self.entry_bytes.checked_sub(bytes)) {
                Some(left) => self.entry_bytes = left,
                None => return Err(self.error("too many list entries for a body of this size")),
            }
            into.reserve_exact(more);
        }
        into.push(self.read()?);
        Ok(())
    }

    /// Leaves the element that was entered.
    pub(crate) fn skip(&mut self) -> Result<(), ParseError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            // Most of an answer is skipped: no names are kept on the way.
            match self.next()? {
                Event::Start(_) => self.enter()?,
                Event::End(_) => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the text of the element that was entered.
    pub(crate) fn text(&mut self) -> Result<String, ParseError> {
        let mut out = String::new();
        loop {
            match self.event()? {
                Event::Text(text) => out.push_str(&text.xml10_content()),
                Event::CData(text) => out.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    if let Some(text) = resolve_predefined_entity(&reference) {
                        out.push_str(text);
                    } else if let Ok(Some(letter)) = reference.resolve_char_ref()
                        && !u8::try_from(letter).is_ok_and(is_forbidden)
                    {
                        out.push(letter);
                    } else {
                        return Err(self.error("an entity that XML doesn't know"));
                    }
                }
                Event::Start(_) => return Err(self.error("an element where text is expected")),
                Event::End(_) => return Ok(out),
                _ => {}
            }
        }
    }

    /// Looks that nothing follows the root.
    fn finish(&mut self) -> Result<(), ParseError> {
        loop {
            match self.events.read_event() {
                Ok(Event::Eof) => return Ok(()),
                Ok(Event::Text(text)) if text.trim().is_empty() => {}
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                _ => return Err(self.error("something after the end of the document")),
            }
        }
    }

    /// The next start, end, or piece of text, with what follows from it for where the reader stands.
    fn event(&mut self) -> Result<Event<'a>, ParseError> {
        let event = self.next()?;
        match &event {
            Event::Start(start) => {
                self.enter()?;
                self.name.clear();
                self.name.push_str(start.local_name().into_inner());
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(event)
    }

    fn enter(&mut self) -> Result<(), ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("too many elements within elements"));
        }
        self.depth += 1;
        Ok(())
    }

    /// The next start, end, or piece of text.
    fn next(&mut self) -> Result<Event<'a>, ParseError> {
        loop {
            match self.events.read_event() {
                Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_)) => {}
                Ok(Event::Eof) => return Err(self.error("the body ends too early")),
                Ok(Event::DocType(kind)) => {
                    let kind = cut(kind.trim());
                    return Err(self.error(&format!("a document of type {kind:?}, not an answer of AWS")));
                }
                Ok(event) => return Ok(event),
                // What the parser says may quote the body: only the place is told.
                Err(_) => return Err(self.error("malformed XML")),
            }
        }
    }

    fn error(&self, what: &str) -> ParseError {
        let place = self.events.buffer_position();
        if self.name.is_empty() {
            ParseError(format!("{what}, at byte {place}"))
        } else {
            ParseError(format!("{what}, near <{}> at byte {place}", cut(&self.name)))
        }
    }
}

/// The first byte that XML 1.0 doesn't allow. Looks at blocks without an end in their middle, which a compiler turns
/// into instructions that look at many bytes at once.
fn first_forbidden(body: &[u8]) -> Option<usize> {
    const BLOCK: usize = 256;
    let bad = |block: &[u8]| block.iter().fold(false, |bad, &byte| bad | is_forbidden(byte));
    let block = body.chunks(BLOCK).position(bad)? * BLOCK;
    let within = body.get(block..)?.iter().position(|&byte| is_forbidden(byte))?;
    Some(block + within)
}

/// Whether XML 1.0 doesn't allow the character.
fn is_forbidden(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(QUOTED_CHARS).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn quoted(text: &str) -> String {
    format!("{:?}", cut(text.trim()))
}
