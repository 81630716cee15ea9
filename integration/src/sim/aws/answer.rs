//! What the services say: XML documents, and errors in each service's own form.

use std::fmt::Write as _;

use bytes::Bytes;
use http::Response;
use quick_xml::escape::escape;

/// Which of AWS's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Ec2,
    Route53,
    Sts,
    Imds,
}

impl Kind {
    /// As IAM and signatures name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ec2 => "ec2",
            Kind::Route53 => "route53",
            Kind::Sts => "sts",
            Kind::Imds => "imds",
        }
    }
}

/// A request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub messages: Vec<String>,
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, messages: vec![message.into()] }
    }
}

/// Refused with HTTP status 400, as most is.
pub(super) fn refuse<T>(code: &'static str, message: impl Into<String>) -> Result<T> {
    Err(Refusal::new(400, code, message))
}

pub(super) const ROUTE53_NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A document under construction.
#[derive(Default)]
pub(super) struct Xml(pub String);

impl Xml {
    /// An element with text.
    pub fn put(&mut self, name: &str, text: impl AsRef<str>) {
        // Writing to a String doesn't fail.
        let _ = write!(self.0, "<{name}>{}</{name}>", escape(text.as_ref()));
    }

    /// An element with a number or a truth value.
    pub fn show(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = write!(self.0, "<{name}>{value}</{name}>");
    }

    /// An element with elements.
    pub fn within(&mut self, name: &str, write: impl FnOnce(&mut Xml)) {
        let _ = write!(self.0, "<{name}>");
        write(self);
        let _ = write!(self.0, "</{name}>");
    }
}

/// A successful answer's document.
pub(super) fn document(kind: Kind, operation: &str, id: &str, content: &str) -> String {
    match kind {
        Kind::Ec2 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"{EC2_NAMESPACE}\">\
             <requestId>{id}</requestId>{content}</{operation}Response>"
        ),
        Kind::Route53 => format!(
            "<?xml version=\"1.0\"?>\n<{operation}Response xmlns=\"{ROUTE53_NAMESPACE}\">{content}\
             </{operation}Response>"
        ),
        Kind::Sts => format!(
            "<{operation}Response xmlns=\"{STS_NAMESPACE}\"><{operation}Result>{content}</{operation}Result>\
             <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
        ),
        Kind::Imds => content.to_owned(),
    }
}

/// A refusal's document.
pub(super) fn error_document(kind: Kind, refusal: &Refusal, id: &str) -> String {
    let Refusal { status, code, messages } = refusal;
    let message = messages.iter().map(|message| escape(message.as_str())).collect::<Vec<_>>().join(", ");
    let side = if *status >= 500 { "Receiver" } else { "Sender" };
    match kind {
        Kind::Ec2 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
             <Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
        ),
        // The one error with a form of its own.
        Kind::Route53 if *code == "InvalidChangeBatch" => {
            let mut xml = Xml::default();
            messages.iter().for_each(|message| xml.put("Message", message));
            format!(
                "<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"{ROUTE53_NAMESPACE}\"><Messages>{}</Messages>\
                 <RequestId>{id}</RequestId></InvalidChangeBatch>",
                xml.0
            )
        }
        Kind::Route53 | Kind::Sts => {
            let namespace = if kind == Kind::Sts { STS_NAMESPACE } else { ROUTE53_NAMESPACE };
            format!(
                "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{side}</Type>\
                 <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
            )
        }
        Kind::Imds => format!("{code}: {message}"),
    }
}

/// An HTTP answer. What can't be part of one is an answer of status 500: nothing here comes from outside.
pub(super) fn http(
    status: u16,
    content_type: &str,
    headers: &[(&str, String)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::builder().status(status).header("content-type", content_type);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(body.into()).unwrap_or_else(|_| {
        let mut broken = Response::new(Bytes::new());
        *broken.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
