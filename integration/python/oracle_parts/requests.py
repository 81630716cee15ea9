"""What botocore sends for an input: its whole way from the parameters to the request, up to the network."""

import random
import re
from urllib.parse import urlsplit

from .values import as_ours_tells_it, inputs

# What has nothing to do with the operation. Any header beside these and Content-Type is part of the comparison.
OF_EVERY_REQUEST = {
    "user-agent", "content-length", "x-amz-date", "authorization", "amz-sdk-invocation-id", "amz-sdk-request",
}


class Captured(Exception):
    def __init__(self, request):
        super().__init__("captured")
        self.request = request


def capture(request, **_):
    raise Captured(request)


def sent(client, operation, parameters):
    """The request, as botocore's HTTP client would get it."""
    client.meta.events.register_first("before-send", capture, unique_id="capture")
    try:
        client._make_api_call(operation, parameters)
    except Captured as captured:
        return captured.request
    finally:
        client.meta.events.unregister("before-send", unique_id="capture")
    raise RuntimeError(f"{operation} wasn't sent")


def described(request):
    url = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in headers.items() if k not in OF_EVERY_REQUEST}
    body = request.body or b""
    body = body if isinstance(body, str) else body.decode()
    if body.startswith("<"):
        body = xml_as_ours(body)
    return {"method": request.method, "path": url.path, "query": url.query, "headers": headers, "body": body}


def xml_as_ours(body):
    """The same document, in the two places where there are several ways to write it."""
    body = re.sub(r"<(\w+) />", r"<\1></\1>", body)
    # A bare CR would arrive as LF; botocore escapes it for S3 only.
    return body.replace("\r", "&#xD;")


def requests(model, service, operation, seed, count):
    facts, about = model.facts(service), model.operation_facts(service, operation)
    cases = []
    for value in inputs(random.Random(f"{seed} requests {service} {operation}"), facts, about, count):
        parameters = as_ours_tells_it(value, about["input"], facts)
        cases.append({"input": value, "expected": described(sent(model.client(service), operation, parameters))})
    return cases
