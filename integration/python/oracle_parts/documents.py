"""Answers as XML documents: values of a shape of the model, written in the many ways that XML allows."""

from .values import integer, moment, text

# XML has no way to tell these.
IMPOSSIBLE = {ord(letter): None for letter in "\ufffe\uffff"}


class Document:
    """Writes one document; all it does is drawn from `random`."""

    def __init__(self, random, facts, shape_facts):
        self.random, self.facts, self.shape_facts = random, facts, shape_facts
        self.namespace = random.choice(["none", "none", "default", "default", "prefix"])
        self.pretty = random.random() < 0.3
        self.noisy = random.random() < 0.4
        self.chance = random.choice([0.3, 0.7, 0.9, 1.0])
        # Rarely, what must be there isn't.
        self.broken = random.random() < 0.08
        self.many = random.random() < 0.1
        self.prefix = "ns:" if self.namespace == "prefix" else ""

    def whole(self, root, uri, shape, wrapper=None, set_members=None):
        random = self.random
        inner = self.structure(shape, self.shape_facts, 1, set_members or {}) if shape else ""
        if wrapper:
            inner = self.element(wrapper, inner, 1)
            inner += self.element("ResponseMetadata", self.element("RequestId", "r-1", 2), 1)
        elif random.random() < 0.7:
            inner = self.element("requestId", "r-1", 1) + inner
        xmlns = {"none": "", "default": f' xmlns="{uri}"', "prefix": f' xmlns:ns="{uri}"'}[self.namespace]
        head = random.choice(["", '<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0"?>\n'])
        if head and self.noisy:
            head += "\n<!-- before -->\n"
        tail = random.choice(["", "\n", "\n<!-- after -->\n", "<?after it?>"]) if self.noisy else ""
        body = f"{head}<{self.prefix}{root}{xmlns}>{inner}{self.break_(0)}</{self.prefix}{root}>{tail}"
        return ("\ufeff" if random.random() < 0.02 else "") + body

    def structure(self, shape, facts, depth, set_members):
        random = self.random
        kept = {member["name"]: member for member in facts} if facts is not None else {}
        names = list(shape.members)
        if random.random() < 0.3:
            random.shuffle(names)
        out = []
        for name in names:
            member = shape.members[name]
            if member.serialization.get("location"):
                continue
            wire = member.serialization.get("name", name)
            about = kept.get(name)
            if name in set_members:
                text_of = set_members[name]
                plain = member.type_name == "boolean"
                out.append(text_of and self.element(wire, text_of if plain else self.escaped(text_of), depth))
                continue
            # What isn't kept must be skipped: that some of it is there is enough.
            chance = self.chance if about else 0.15 if depth < 6 else 0.0
            if about and about.get("required"):
                chance = 0.9 if self.broken else 1.0
            if random.random() < chance:
                out.append(self.member(member, wire, about, depth))
            if random.random() < 0.03:
                out.append(self.unknown(depth))
        return "".join(out)

    def unknown(self, depth):
        # With names within that are known elsewhere.
        inner = self.random.choice(["", "text", "<item/>", "<item><groupId>x</groupId>y</item>", "<Name>a</Name>"])
        return self.element("somethingNew", inner, depth)

    def member(self, shape, wire, about, depth):
        kind = about["type"] if about else None
        return self.element(wire, self.value(shape, kind, depth), depth)

    def value(self, shape, kind, depth):
        random = self.random
        if shape.type_name == "structure":
            name = kind["structure"] if kind else None
            facts = self.facts["structures"][name] if name else None
            return self.structure(shape, facts, depth + 1, {}) + self.break_(depth)
        if shape.type_name == "list":
            if depth <= 3 and self.many and shape.member.type_name != "structure":
                count = 120
            else:
                count = random.choice([0, 1, 1, 2, 3, 9] if depth < 5 else [0, 1, 2])
            item = shape.member.serialization.get("name", "member")
            of = kind["list"]["of"] if kind else None
            entries = [self.element(item, self.value(shape.member, of, depth + 1), depth + 1) for _ in range(count)]
            return "".join(entries) + self.break_(depth)
        if shape.type_name == "boolean":
            return random.choice(["true", "false"])
        if shape.type_name in ("integer", "long"):
            pad = random.choice(["", "", "", " ", "\n"]) if self.pretty else ""
            return pad + str(integer(random)) + pad
        if shape.type_name == "timestamp":
            return self.time()
        if shape.type_name in ("float", "double"):
            return "1.5"
        values = getattr(shape, "enum", None)
        if values and random.random() < 0.8:
            return random.choice(values)
        found = text(random).translate(IMPOSSIBLE)
        # Enumerations are read without the whitespace around them, which no value has.
        return self.escaped(found.strip() if values or (kind and "enum" in kind) else found)

    def time(self):
        value = moment(self.random)
        form = self.random.choice(["Z", "Z", ".Z", "offset"])
        plain = value.strftime("%Y-%m-%dT%H:%M:%S")
        if form == "Z" and not value.microsecond:
            return plain + "Z"
        if form == "offset":
            return plain + self.random.choice(["+00:00", "+05:30", "-08:00"])
        return f"{plain}.{value.microsecond:06}Z" if value.microsecond % 1000 else f"{plain}.{value.microsecond // 1000:03}Z"

    def element(self, name, inner, depth):
        name = self.prefix + name
        before = self.break_(depth)
        attribute = ' unknown="a &lt; b"' if self.noisy and self.random.random() < 0.05 else ""
        if inner == "" and self.random.random() < 0.5:
            return f"{before}<{name}{attribute}/>"
        return f"{before}<{name}{attribute}>{inner}</{name}>"

    def break_(self, depth):
        """What may stand between two elements."""
        out = "\n" + "    " * depth if self.pretty else ""
        if self.noisy and self.random.random() < 0.1:
            out += self.random.choice(["<!-- <a> & -->", "<?target some data?>", "\r\n", "<!---->", " \t "])
        return out

    def escaped(self, value):
        random = self.random
        if self.noisy and value and "]]>" not in value and random.random() < 0.2:
            value = self.only_xml(value)
            cut = random.randrange(len(value) + 1)
            return self.references(value[:cut]) + f"<![CDATA[{value[cut:]}]]>"
        out = self.references(self.only_xml(value))
        if self.noisy and random.random() < 0.05:
            out += random.choice(["<!-- in the text -->", "<?in the text?>"]) + "more"
        return out

    def only_xml(self, value):
        return "".join(letter for letter in value if letter in "\t\n\r" or ord(letter) >= 32)

    def references(self, value):
        named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
        out = []
        for letter in value:
            must = letter in "&<" or letter == ">"
            if must or (self.noisy and self.random.random() < 0.1):
                ways = [f"&#{ord(letter)};", f"&#x{ord(letter):x};", f"&#x{ord(letter):X};", f"&#{ord(letter):06};"]
                if letter in named:
                    ways += [named[letter]] * 4
                out.append(self.random.choice(ways))
            else:
                out.append(letter)
        return "".join(out)
