"""botocore's models, and the facts that say which of their members are kept."""

import json
import pathlib

import botocore
import botocore.session
from botocore.config import Config


class Model:
    def __init__(self, facts):
        self.session = botocore.session.Session()
        self.session.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        self.folder = pathlib.Path(facts)
        self._facts, self._services, self._clients = {}, {}, {}

    def versions(self):
        facts = {path.stem: json.loads(path.read_text()) for path in self.folder.glob("*.json")}
        sources = {name: it.get("source") for name, it in facts.items() if isinstance(it, dict)}
        return {"botocore": botocore.__version__, "sources": {k: v for k, v in sources.items() if v}}

    def facts(self, service):
        if service not in self._facts:
            self._facts[service] = json.loads((self.folder / f"{service}.json").read_text())
        return self._facts[service]

    def operation_facts(self, service, operation):
        return next(it for it in self.facts(service)["operations"] if it["name"] == operation)

    def operation(self, service, operation):
        if service not in self._services:
            self._services[service] = self.session.get_service_model(service)
        return self._services[service].operation_model(operation)

    def client(self, service, region="eu-west-1"):
        key = (service, region)
        if key not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
            self._clients[key] = self.session.create_client(service, region_name=region, config=config)
        return self._clients[key]


def base(kind):
    """The kind of a type of the facts, and its detail."""
    if isinstance(kind, str):
        return kind, None
    ((name, detail),) = kind.items()
    return name, detail
