"""Calls AWS operations by boto3 for the tests: one JSON request a line in, one JSON answer a line out.

Request: {"account", "region", "service", "method", "arguments", "list"}. With "list" (the name of the answer's list)
all pages are read and the joined list is the result; without it the whole answer is.
Answer: {"ok": result} or {"error": {"code", "message"}}.

It goes to moto without the daemon's own AWS client, so that a fault of that client can't hide itself.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
session = boto3.Session("tests", "tests", region_name="us-east-1")
clients = {}


def client_of(endpoint, account, region, service):
    key = (account, region, service)
    if key not in clients:
        client = session.client(service, endpoint_url=endpoint, region_name=region, config=CONFIG)
        # moto's own way to name the account of a call.
        client.meta.events.register(
            f"before-send.{service}", lambda request, **_: request.headers.update({"x-moto-account-id": account})
        )
        clients[key] = client
    return clients[key]


def perform(endpoint, request):
    client = client_of(endpoint, request["account"], request["region"], request["service"])
    method, arguments, member = request["method"], request["arguments"], request.get("list")
    if member is None:
        answer = getattr(client, method)(**arguments)
        answer.pop("ResponseMetadata", None)
        return answer
    if not client.can_paginate(method):
        return getattr(client, method)(**arguments)[member]
    found = []
    for page in client.get_paginator(method).paginate(**arguments):
        found.extend(page[member])
    return found


def main():
    endpoint = sys.argv[1]
    for line in sys.stdin:
        try:
            answer = {"ok": perform(endpoint, json.loads(line))}
        except ClientError as error:
            answer = {"error": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
        except (BotoCoreError, KeyError, AttributeError, TypeError) as error:
            answer = {"error": {"code": type(error).__name__, "message": str(error)}}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
