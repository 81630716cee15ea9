//! Takes a document apart: its tags, texts and so on, each as it stands in the body.

use quick_xml::Reader;
use quick_xml::events::Event;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Start,
    End,
    /// An element in one piece, `<a/>`.
    Empty,
    /// Text, CDATA, an entity.
    Text,
    /// Blanks between tags.
    Blank,
    /// Comment, processing instruction, declaration.
    Other,
}

/// The pieces of `text` without byte order marks. Where it can't be read the rest is one piece.
pub fn pieces(text: &str) -> (Vec<(Kind, &str)>, bool) {
    // The reader leaves one out, and doesn't count it.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut pieces = Vec::new();
    let mut start = 0;
    let whole = loop {
        let (kind, go_on) = match reader.read_event() {
            Ok(Event::Start(_)) => (Kind::Start, true),
            Ok(Event::End(_)) => (Kind::End, true),
            Ok(Event::Empty(_)) => (Kind::Empty, true),
            Ok(Event::Text(text)) if text.trim().is_empty() => (Kind::Blank, true),
            Ok(Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => (Kind::Text, true),
            Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_)) => (Kind::Other, true),
            Ok(Event::Eof) => break true,
            Err(_) => (Kind::Text, false),
        };
        let end = if go_on { usize::try_from(reader.buffer_position()).unwrap() } else { text.len() };
        if end > start {
            pieces.push((kind, &text[start..end]));
        }
        start = end;
        if !go_on {
            break false;
        }
    };
    (pieces, whole)
}

/// The same document with comments, instructions, blanks and elements that nobody knows, wherever that changes
/// nothing; `None` for what is no document.
pub fn padded(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (pieces, whole) = pieces(text);
    if !whole {
        return None;
    }
    let tag = |kind: Option<Kind>| matches!(kind, Some(Kind::Start | Kind::End | Kind::Empty));
    let mut out = String::new();
    let mut depth = 0_usize;
    for (place, &(kind, piece)) in pieces.iter().enumerate() {
        out.push_str(piece);
        match kind {
            Kind::Start => depth += 1,
            Kind::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        let next = pieces.get(place + 1).map(|(kind, _)| *kind);
        if depth == 0 {
            // Outside of the root a declaration must come first.
            continue;
        }
        if place % 3 == 0 {
            out.push_str("<!-- > </a> & -->");
        }
        // Between two tags there is text only if they are start and end of the same element. An element in one piece
        // may be a text, too, but what stands before or after it isn't within it.
        if place % 2 == 0 && tag(Some(kind)) && tag(next) && !(kind == Kind::Start && next == Some(Kind::End)) {
            out.push_str("\r\n\t <?pi > ?><x:Unknown a='<&' b=\">\">t<y/>&amp;</x:Unknown>");
        }
    }
    out.push_str("\n<!-- after --> <?pi?>\n");
    Some(out)
}
