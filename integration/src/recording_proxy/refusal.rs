//! Errors in each service's own form, as AWS writes them.

use crate::wire::{self, Outcome};

/// An error of `service` with an HTTP status, a code and a message.
pub(super) fn error(service: &str, status: u16, code: &str, message: &str) -> Outcome {
    let body = match service {
        "ec2" => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
             <Message>{message}</Message></Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
        ),
        "route53" => format!(
            "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        ),
        _ => format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        ),
    };
    wire::answer(status, "text/xml;charset=UTF-8", body)
}

const REQUEST_ID: &str = "c0ffee00-0000-4000-8000-000000000000";

/// What AWS answers without the permission `action`.
pub(super) fn denied(service: &str, action: &str) -> Outcome {
    if service == "ec2" {
        return error(service, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.");
    }
    let message = format!(
        "User: arn:aws:sts::123456789012:assumed-role/external-ips/test is not authorized to perform: {action} \
         because no identity-based policy allows the {action} action"
    );
    error(service, 403, "AccessDenied", &message)
}

/// What AWS answers to one who calls too fast: EC2 with 503, Route 53 and STS with 400.
pub(super) fn throttled(service: &str) -> Outcome {
    match service {
        "ec2" => error(service, 503, "RequestLimitExceeded", "Request limit exceeded."),
        _ => error(service, 400, "Throttling", "Rate exceeded"),
    }
}
