"""Answers: documents, what botocore reads from them, and what it asks for next."""

import datetime
import random

from botocore.parsers import create_parser

from .documents import Document
from .model import base
from .requests import described
from .values import as_ours_tells_it, canonical_time, inputs


def answers(model, service, operation, seed, count):
    draw = random.Random(f"{seed} answers {service} {operation}")
    return [answer(model, service, operation, draw, {}) for _ in range(count)]


def answer(model, service, operation, draw, set_members):
    facts, about, shape = model.facts(service), model.operation_facts(service, operation), output(model, service, operation)
    namespace = model.operation(service, operation).metadata.get("xmlNamespace")
    uri = namespace or f"http://{service}.amazonaws.com/doc/{facts['api_version']}/"
    document = Document(draw, facts, about["output"])
    body = document.whole(about["root"], uri, shape, about.get("wrapper"), set_members)
    protocol = model.operation(service, operation).metadata["protocol"]
    parsed = create_parser(protocol).parse({"status_code": 200, "headers": {}, "body": body.encode()}, shape)
    value, lacks = kept(parsed, about["output"], facts)
    pages = about.get("pages")
    if pages and pages.get("more") and parsed.get(pages["more"]) and not parsed.get(pages["tokens"][0][1]):
        lacks = lacks or pages["tokens"][0][1]
    if shape is None and not parsed["ResponseMetadata"].get("RequestId"):
        # Nothing else says that the request was carried out.
        lacks = lacks or "requestId"
    return {"body": body, "value": value, "lacks": lacks}



def output(model, service, operation):
    return model.operation(service, operation).output_shape


def kept(value, members, facts):
    """The members that are kept, absent and empty lists being one; and the first required one that isn't there."""
    out, lacks = {}, None
    for member in members:
        name = member["name"]
        if value.get(name) is None:
            if member.get("required"):
                lacks = lacks or name
            continue
        inner, missing = kept_value(value[name], member["type"], facts)
        lacks = lacks or missing
        if inner != []:
            out[name] = inner
    return out, lacks


def kept_value(value, kind, facts):
    kind, detail = base(kind)
    if kind == "structure":
        return kept(value, facts["structures"][detail], facts)
    if kind == "list":
        entries = [kept_value(entry, detail["of"], facts) for entry in value]
        return [entry for entry, _ in entries], next((lacks for _, lacks in entries if lacks), None)
    if isinstance(value, datetime.datetime):
        return canonical_time(value), None
    return value, None


def pages(model, service, operation, seed, count):
    """botocore's paginator is given an answer, and an empty last one if it asks again."""
    draw = random.Random(f"{seed} pages {service} {operation}")
    facts, about = model.facts(service), model.operation_facts(service, operation)
    about_pages = about["pages"]
    cases = []
    for value in inputs(draw, facts, about, count):
        value = as_ours_tells_it(value, about["input"], facts)
        # A paginator takes its own name for the number of entries, and begins at the first page.
        for name, _ in about_pages["tokens"]:
            value.pop(name, None)
        more = draw.choice([True, True, False])
        tokens = {}
        for number, (_, name) in enumerate(about_pages["tokens"]):
            there = more and (number == 0 or draw.random() < 0.7)
            tokens[name] = draw.choice(["t", "a+b/c==", "\\052.example.com.", "é &"]) if there else ""
        if about_pages.get("more"):
            tokens[about_pages["more"]] = "true" if more else "false"
        first = answer(model, service, operation, draw, tokens)
        if first["lacks"]:
            continue
        cases.append({"input": value, "body": first["body"], "expected": next_request(model, service, operation, value, first["body"])})
    return cases


def next_request(model, service, operation, value, body):
    from botocore.awsrequest import AWSResponse

    client = model.client(service)
    asked = []

    def respond(request, **_):
        asked.append(request)
        if len(asked) > 1:
            raise Enough
        response = AWSResponse(request.url, 200, {}, None)
        response._content = body.encode()
        return response

    method = next(name for name, operation_name in client.meta.method_to_api_mapping.items() if operation_name == operation)
    client.meta.events.register_first("before-send", respond, unique_id="respond")
    try:
        for _ in client.get_paginator(method).paginate(**value):
            pass
    except Enough:
        pass
    finally:
        client.meta.events.unregister("before-send", unique_id="respond")
    return described(asked[1]) if len(asked) > 1 else None


class Enough(Exception):
    pass
