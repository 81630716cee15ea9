"""botocore's signer: for requests that are there already, by given keys and at a given time."""

import datetime

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# What the signature itself brings.
OURS = {"authorization", "x-amz-date", "x-amz-security-token"}


def sign(model, cases):
    return [signed(case) for case in cases]


def signed(case):
    at = datetime.datetime.fromisoformat(case["time"].replace("Z", "+00:00"))
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: at.replace(tzinfo=None) if remove_tzinfo else at
    headers = {name: value for name, value in case["headers"].items() if name.lower() not in OURS}
    request = AWSRequest(method=case["method"], url=case["url"], headers=headers, data=bytes(case["body"]))
    credentials = Credentials(case["access_key_id"], case["secret_access_key"], case.get("session_token"))
    botocore.auth.SigV4Auth(credentials, case["service"], case["region"]).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items() if name.lower() in OURS}
