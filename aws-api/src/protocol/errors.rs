//! Reads the bodies of error answers, in each service's form.

use crate::error::ParseError;
use crate::operation::Service;
use crate::protocol::xml::Reader;

/// Characters of an error code, and of a request's id. Those in use have up to 50.
const MAX_WORD: usize = 128;
/// Bytes of all messages together. An encoded authorization message has a few thousand.
const MAX_MESSAGE: usize = 32 * 1024;
/// A batch of 1,000 changes may be refused with as many messages: this many tell what is wrong.
const MAX_MESSAGES: usize = 100;

/// What AWS said when it didn't do what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// AWS's error code: one word of 1 to 128 ASCII characters.
    pub code: String,
    /// What it says about it; several messages are joined by `; `. May be empty. At most 32 KiB.
    pub message: String,
    /// AWS's id for the request: one word like the code.
    pub request_id: Option<String>,
}

/// Reads an error answer: EC2's `<Response><Errors>`, Route 53's and STS's `<ErrorResponse>`, Route 53's
/// `<InvalidChangeBatch>`. `None` when the body is none of these, e.g. the page of a proxy. A body that breaks off
/// after the code is read as far as it goes. Takes any bytes: memory and time grow no faster than the body.
pub fn parse(service: Service, body: &[u8]) -> Option<ApiError> {
    let mut xml = Reader::new(body, true).ok()?;
    let mut found = Found::default();
    match xml.root().ok()? {
        "Response" | "ErrorResponse" | "Errors" | "Error" => {}
        root @ "InvalidChangeBatch" if service == Service::Route53 => found.code = Some(root.to_owned()),
        _ => return None,
    }
    // Breaking off is no reason to forget what was read.
    let _ = found.read(&mut xml);
    Some(ApiError {
        code: found.code.filter(|code| is_word(code))?,
        message: found.messages.join("; "),
        request_id: found.request_id.filter(|id| is_word(id)),
    })
}

/// Whether it can be a code or an id: it goes into logs and metrics as it stands.
fn is_word(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(Default)]
struct Found {
    code: Option<String>,
    messages: Vec<String>,
    /// Bytes of the messages, and of what joins them.
    message_bytes: usize,
    request_id: Option<String>,
}

impl Found {
    /// Reads the element that was entered. Recursion ends with the reader's limit of depth.
    fn read(&mut self, xml: &mut Reader<'_>) -> Result<(), ParseError> {
        while let Some(element) = xml.child()? {
            match element {
                "Errors" | "Error" | "Messages" => self.read(xml)?,
                "Code" => {
                    let code = xml.text()?.trim().to_owned();
                    // The first error is the one that counts.
                    self.code.get_or_insert(code);
                }
                "Message" | "message" => {
                    let message = xml.text()?;
                    self.message(message.trim());
                }
                "RequestID" | "RequestId" => self.request_id = Some(xml.text()?.trim().to_owned()),
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &str) {
        let left = MAX_MESSAGE.saturating_sub(self.message_bytes);
        let message = message.get(..message.floor_char_boundary(left)).unwrap_or_default();
        // Some say it twice, as `Message` and as `message`.
        let known = message.is_empty() || self.messages.iter().any(|it| it == message);
        if !known && self.messages.len() < MAX_MESSAGES {
            self.message_bytes += message.len() + "; ".len();
            self.messages.push(message.to_owned());
        }
    }
}
