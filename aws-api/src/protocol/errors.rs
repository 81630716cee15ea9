//! Reads the bodies of error answers, in each service's form.

use crate::error::ParseError;
use crate::operation::Service;
use crate::protocol::xml::Reader;

/// What AWS said when it didn't do what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// AWS's error code, never empty.
    pub code: String,
    /// What it says about it; several messages are joined by `; `. May be empty.
    pub message: String,
    /// AWS's id for the request.
    pub request_id: Option<String>,
}

/// Reads an error answer: EC2's `<Response><Errors>`, Route 53's and STS's `<ErrorResponse>`, Route 53's
/// `<InvalidChangeBatch>`. `None` when the body is none of these, e.g. the page of a proxy. A body that breaks off
/// after the code is read as far as it goes.
pub fn parse(service: Service, body: &[u8]) -> Option<ApiError> {
    let mut xml = Reader::new(body).ok()?;
    let mut found = Found::default();
    match xml.root().ok()? {
        "Response" | "ErrorResponse" | "Errors" | "Error" => {}
        root @ "InvalidChangeBatch" if service == Service::Route53 => found.code = Some(root.to_owned()),
        _ => return None,
    }
    // Breaking off is no reason to forget what was read.
    let _ = found.read(&mut xml);
    Some(ApiError {
        code: found.code.filter(|code| !code.is_empty())?,
        message: found.messages.join("; "),
        request_id: found.request_id,
    })
}

#[derive(Default)]
struct Found {
    code: Option<String>,
    messages: Vec<String>,
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
                    let message = xml.text()?.trim().to_owned();
                    // Some say it twice, as `Message` and as `message`.
                    if !message.is_empty() && !self.messages.contains(&message) {
                        self.messages.push(message);
                    }
                }
                "RequestID" | "RequestId" => self.request_id = Some(xml.text()?.trim().to_owned()),
                _ => xml.skip()?,
            }
        }
        Ok(())
    }
}
