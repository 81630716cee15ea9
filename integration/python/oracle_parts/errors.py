"""Answers that are no success, in each service's shapes and out of shape, and what botocore makes of them."""

import random

from botocore.parsers import ResponseParserError, create_parser

from .documents import Document
from .values import Inputs

CODES = {
    "ec2": ["InvalidGroup.Duplicate", "InvalidPermission.NotFound", "RequestLimitExceeded", "AuthFailure", "Client.X"],
    "route53": ["Throttling", "NoSuchHostedZone", "InvalidChangeBatch", "PriorRequestNotComplete", "AccessDenied"],
    "sts": ["AccessDenied", "ExpiredTokenException", "InvalidIdentityToken", "ValidationError", "ExpiredToken"],
}
MESSAGES = ["", "Rate exceeded", "a & b", "it's <here>", "two\nlines", "é 日本 🦀", "'sg-1' already exists", '"x"']
IDS = ["", "r-1", "ea966190-f9aa-478e-9ede-5b8c6c7c3f4a"]
STATUSES = [400, 403, 404, 409, 429, 500, 502, 503, 504]
NO_ERROR_OF_AWS = [
    "", " ", "\n", "Bad Gateway", "<html>", "<html><body><b>Http/1.1 Service Unavailable</b></body></html>",
    "<!DOCTYPE html><html><head><title>503</title></head><body>x</body></html>", "{}", '{"Code": "Throttling"}',
    "<", "<a", "<a>", "</a>", "<Response", "<Response>", "<ErrorResponse/>", "<Error/>", "<Response><Errors/></Response>",
    "<Response><Errors><Error/></Errors></Response>", "<ErrorResponse><Error/></ErrorResponse>",
    "<ErrorResponse><Error><Code/><Message/></Error></ErrorResponse>", "<?xml version='1.0'?>", "<!-- only this -->",
    "\x00\x01\x02", "&amp;", "<a>&nosuch;</a>", "<ErrorResponse><RequestId>r-1</RequestId></ErrorResponse>",
]


def errors(model, service, operation, seed, count):
    draw = random.Random(f"{seed} errors {service} {operation}")
    return [case(model, service, operation, draw) for _ in range(count)]


def case(model, service, operation, draw):
    status = draw.choice(STATUSES)
    headers = {"x-amzn-RequestId": "from-the-header"} if draw.random() < 0.3 else {}
    if draw.random() < 0.2:
        body = draw.choice(NO_ERROR_OF_AWS).encode()
    elif draw.random() < 0.05:
        body = bytes(draw.randrange(256) for _ in range(draw.randrange(40)))
    else:
        body = error_of_aws(service, operation, draw).encode()
    facts = model.facts(service)
    parameters = Inputs(draw, facts, 0.0).structure(model.operation_facts(service, operation)["input"])
    return {
        "input": parameters,
        "status": status,
        "headers": headers,
        "body": text_or_bytes(body),
        "expected": found(model, service, operation, status, headers, body),
    }


def text_or_bytes(body):
    try:
        return body.decode()
    except UnicodeDecodeError:
        return list(body)


def error_of_aws(service, operation, draw):
    document = Document(draw, {}, [])
    element, text = document.element, lambda name, value, depth: document.element(name, document.escaped(value), depth)
    code = draw.choice(CODES[service] + ["Some.New-Code_1"])
    parts = [text("Code", code, 3)]
    if draw.random() < 0.9:
        parts.append(text("Message", draw.choice(MESSAGES), 3))
    if service != "ec2" or draw.random() < 0.2:
        parts.append(text("Type", draw.choice(["Sender", "Receiver"]), 3))
    if draw.random() < 0.3:
        parts.append(document.unknown(3))
    draw.shuffle(parts)
    error = element("Error", "".join(parts) + document.break_(2), 2)
    request_id = "" if draw.random() < 0.2 else text("RequestID" if service == "ec2" else "RequestId", draw.choice(IDS), 1)
    if service == "ec2":
        parts, root = [element("Errors", error, 1), request_id], "Response"
    else:
        parts, root = [error, request_id], "ErrorResponse"
    if draw.random() < 0.2:
        parts.reverse()
    xmlns = {"none": "", "default": ' xmlns="https://example.com/doc/"', "prefix": ' xmlns:ns="https://example.com/doc/"'}
    head = draw.choice(["", '<?xml version="1.0" encoding="UTF-8"?>\n'])
    root = document.prefix + root
    return f"{head}<{root}{xmlns[document.namespace]}>{''.join(parts)}</{root}>"


def found(model, service, operation, status, headers, body):
    """Code, message and request id as botocore's `ClientError` has them; empty where it made them up or has none."""
    about = model.operation(service, operation)
    parser = create_parser(about.metadata["protocol"])
    response = {"status_code": status, "headers": headers, "body": body}
    try:
        parsed = parser.parse(response, about.output_shape)
    except ResponseParserError:
        return {"code": "", "message": "", "request_id": ""}
    except Exception as error:
        return {"crash": f"{type(error).__name__}: {error}"}
    error = parsed.get("Error")
    error = error if isinstance(error, dict) else {}
    code, message = error.get("Code") or "", error.get("Message") or ""
    if code == str(status):
        # Made up from the status.
        code, message = "", ""
    request_id = parsed.get("ResponseMetadata", {}).get("RequestId") or ""
    return {"code": code, "message": message, "request_id": request_id}
