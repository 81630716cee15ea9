"""botocore as the oracle of the tests in tests/oracle: one JSON request a line in, one JSON answer a line out.

Requests, each with "do" (see ORDERS at the end); all but the last three take "service", "operation", "seed", "count":
  requests   inputs, and the request that botocore sends for each
  answers    documents, and what botocore reads from each
  pages      inputs, documents, and the request for the next page that botocore sends after each
  errors     answers that are no success, and what botocore makes of each
  sign       what botocore's signer puts onto given requests
  endpoints  where botocore sends requests, for given settings
  versions   botocore's version
Answer: {"ok": result} or {"error": text}.

Arguments: the folder with the facts that the client under test was generated from (aws-api/model). Inputs and values
are restricted to the members that the facts keep; documents hold all of the model's members, and unknown ones.
"""

import json
import os
import sys
import traceback

from oracle_parts import answers, endpoints, errors, requests, signing
from oracle_parts.model import Model

ORDERS = {
    "requests": requests.requests,
    "answers": answers.answers,
    "pages": answers.pages,
    "errors": errors.errors,
    "sign": signing.sign,
    "endpoints": endpoints.endpoints,
    "versions": lambda model: model.versions(),
}


def main():
    # Nothing of the machine's own settings may change what botocore does.
    for name in list(os.environ):
        if name.upper().startswith("AWS_"):
            del os.environ[name]
    model = Model(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"ok": ORDERS[order.pop("do")](model, **order)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
