"""Values of all kinds, drawn by a seeded generator, in the terms of the facts."""

import datetime
import string

from .model import base

# What has a meaning in forms, URLs, XML or signatures, beside plain words and other scripts.
TEXTS = [
    "", " ", "a", "web", "a b", " a", "a ", "a  b", "+", "a+b", "&", "a&b=c", "%", "%20", "%2B", "100%", "~", "*",
    "\\052.example.com.", "*.example.com.", "a/b", "/hostedzone/Z1", "..", ".", "//", "?", "#", "a?b#c", "=", ";", ",",
    ":", "@", "!", "$", "'", '"', "(a)", "[b]", "{c}", "|", "\\", "^", "`", "<", ">", "<a>", "]]>", "<![CDATA[x]]>",
    "&amp;", "&#65;", "\n", "a\nb", "\r", "a\r\nb", "\t", "é", "ß", "日本語", "🦀", "e\u0301", "\u00a0", "\u2028",
    "\ufeff", "null", "None", "true", "0", "-0", "arn:aws:iam::123456789012:role/a_b-c.d", "x" * 300,
]
ALPHABET = string.ascii_letters + string.digits + " +&%~*/.-_=\"'<>\\\n\téß日🦀"
INTEGERS = [0, 1, -1, 80, 65535, 2**31 - 1, -(2**31), 2**53, 2**63 - 1, -(2**63)]


def text(random):
    if random.random() < 0.6:
        return random.choice(TEXTS)
    return "".join(random.choice(ALPHABET) for _ in range(random.randrange(1, 24)))


def integer(random):
    return random.choice(INTEGERS) if random.random() < 0.5 else random.randrange(-(10**6), 10**6)


def moment(random):
    """A time, as a value and in the one form that both sides of a comparison write it in."""
    seconds = random.choice([0, 951782400, 1709164799, 4102444800, random.randrange(0, 2**32)])
    micros = random.choice([0, 0, 0, 1, 500000, 123000, 999999])
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc) + datetime.timedelta(microseconds=micros)


def canonical_time(value):
    value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    out = value.isoformat(timespec="microseconds" if value.microsecond else "seconds")
    return (out.rstrip("0") if value.microsecond else out) + "Z"


class Inputs:
    """Inputs of an operation. `chance` is that of an optional member to be there."""

    def __init__(self, random, facts, chance):
        self.random, self.facts, self.chance = random, facts, chance

    def structure(self, members, depth=0):
        out = {}
        for member in members:
            if member.get("required") or self.random.random() < self.chance:
                out[member["name"]] = self.value(member["type"], depth)
        return out

    def value(self, kind, depth):
        random = self.random
        kind, detail = base(kind)
        if kind == "list":
            # Now and then a long one, where it doesn't hold lists that could be long, too.
            long = depth == 0 and base(detail["of"])[0] != "structure" and random.random() < 0.05
            count = random.randrange(150, 400) if long else random.choice([0, 1, 1, 2, 3, 12] if depth < 2 else [0, 1, 2])
            return [self.value(detail["of"], depth + 1) for _ in range(count)]
        if kind == "structure":
            return self.structure(self.facts["structures"][detail], depth + 1)
        if kind == "enum":
            return random.choice(self.facts["enums"][detail]) if random.random() < 0.8 else text(random)
        return {
            "string": lambda: text(random),
            "integer": lambda: integer(random),
            "boolean": lambda: random.random() < 0.5,
            "timestamp": lambda: canonical_time(moment(random)),
        }[kind]()


def inputs(random, facts, operation, count):
    """All members, only the required ones, then any."""
    for number in range(count):
        chance = {0: 1.0, 1: 0.0}.get(number, random.choice([0.2, 0.5, 0.8, 1.0]))
        yield Inputs(random, facts, chance).structure(operation["input"])


def as_ours_tells_it(value, members, facts):
    """An optional list that is empty is one that is absent: our types have one value for both."""
    out = {}
    for member in members:
        if member["name"] not in value:
            continue
        kept = _inner(value[member["name"]], member["type"], facts)
        if kept != [] or member.get("required"):
            out[member["name"]] = kept
    return out


def _inner(value, kind, facts):
    kind, detail = base(kind)
    if kind == "structure":
        return as_ours_tells_it(value, facts["structures"][detail], facts)
    if kind == "list":
        return [_inner(entry, detail["of"], facts) for entry in value]
    return value
