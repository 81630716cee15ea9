"""Where botocore sends requests, and for which region it signs them, for every region it knows and some it doesn't."""

import itertools
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError

from .requests import sent

# Regions that may come to be, of partitions that are there and of none.
TO_COME = [
    "eu-west-9", "us-west-12", "mx-south-1", "cn-south-9", "us-gov-north-1", "eusc-de-west-2", "us-iso-south-3",
    "us-isob-west-7", "eu-isoe-east-1", "us-isof-west-4", "mars-north-1",
]


# Where an endpoint of one's own is tried.
SOME = ["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1"]
OWN = "https://own.example.com:8443"
SERVICES = ["ec2", "route53", "sts"]


def endpoints(model):
    loader = model.session.get_component("data_loader")
    partitions = loader.load_data("partitions")
    providers = {}
    for service in SERVICES:
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
        providers[service] = EndpointProvider(ruleset_data=rules, partition_data=partitions)
    known = {region for partition in partitions["partitions"] for region in partition["regions"]}
    for partition in model.session.get_component("endpoint_resolver").get_available_partitions():
        known |= set(model.session.get_available_regions("ec2", partition))
    cases = []
    for region, fips, dual_stack in itertools.product(sorted(known) + TO_COME, [False, True], [False, True]):
        case = {"region": region, "fips": fips, "dual_stack": dual_stack, "url": None}
        shared = {it: by_rules(providers[it], region, fips, dual_stack) for it in ["ec2", "route53"]}
        for legacy in [False, True]:
            sts = by_client(model, region, fips, dual_stack, legacy)
            if sts is None or (region == "aws-global" and (fips or dual_stack)):
                # What is older than the rules in a client is out of date for these.
                sts = by_rules(providers["sts"], region, fips, dual_stack)
            cases.append({**case, "legacy": legacy, "expected": {**shared, "sts": sts}})
    for region, fips, dual_stack in itertools.product(SOME, [False, True], [False, True]):
        case = {"region": region, "fips": fips, "dual_stack": dual_stack, "url": OWN, "legacy": False}
        expected = {service: by_rules(it, region, fips, dual_stack, OWN) for service, it in providers.items()}
        if expected["route53"]:
            # The rules say nothing for it, so a client would sign for its own region.
            own_host = by_rules(providers["route53"], region, fips, dual_stack)
            expected["route53"]["signing_region"] = own_host["signing_region"]
        cases.append({**case, "expected": expected})
    return {"cases": cases, "regions": len(known), "partitions": len(partitions["partitions"])}


def by_rules(provider, region, fips, dual_stack, url=None):
    own = {"Endpoint": url} if url else {}
    try:
        found = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack, **own)
    except BotoCoreError:
        return None
    schemes = found.properties.get("authSchemes", [{}])
    return {"url": found.url, "signing_region": schemes[0].get("signingRegion", region)}


def by_client(model, region, fips, dual_stack, legacy):
    """STS's endpoint."""
    model.session.set_config_variable("sts_regional_endpoints", "legacy" if legacy else "regional")
    config = Config(retries={"total_max_attempts": 1}, use_fips_endpoint=fips, use_dualstack_endpoint=dual_stack)
    try:
        client = model.session.create_client("sts", region_name=region, config=config)
        request = sent(client, "GetCallerIdentity", {})
    except BotoCoreError:
        return None
    url = urlsplit(request.url)
    authorization = request.headers["Authorization"]
    authorization = authorization.decode() if isinstance(authorization, bytes) else authorization
    return {"url": f"{url.scheme}://{url.netloc}", "signing_region": authorization.split("/")[2]}
