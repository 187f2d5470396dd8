"""Filter, path and sortBy text read into bound terms (RFC 7644 figures 1 and 7, §3.10)."""

import re
from dataclasses import dataclass, replace
from typing import NoReturn

from projections.query import model
from projections.query.model import Operator, Type
from scim_api.protocol.addresses import on_stored
from scim_api.protocol.attribute_names import (
    compared,
    find,
    is_never_returned,
    unknown_part,
    valued,
)
from scim_api.protocol.errors import (
    InvalidFilter,
    InvalidPath,
    InvalidValue,
    Quoted,
    ScimError,
    UnknownPath,
)
from scim_api.protocol.literals import Scanner
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import (
    ABSENT,
    Attribute,
    AttributeAt,
    Records,
    ResourceType,
    Schema,
)

MAX_LENGTH = 8192
MAX_TERMS = 200
MAX_DEPTH = 32

_OPERATORS = {operator.value: operator for operator in Operator}
# Possessive, so that a long run of blanks is passed over once.
# A name begins with a letter of any script, `_` or `$`: whatever people name attributes.
_PATH = re.compile(
    r'\s*+([^\W\d]|\$)[^\s\[\]()"]*+\s*+(\[.*\]\s*+(\.([^\W\d]|\$)[\w$-]*+\s*+)?)?', re.DOTALL
)
# What clients ask before nearly every write, and what can be said of it without the parser.
_LOOK_UP = re.compile(r'([A-Za-z]+) eq "([^"\\\x00-\x1f\ud800-\udfff]*+)"')
_DEFAULT = Tolerances()


@dataclass(frozen=True, slots=True)
class PatchPath:
    """What a PATCH path selects; with nothing set, the resource itself.

    `filter` is relative to one value of `declared`. `extension` is set if the path is only the URN
    of a schema extension.
    """

    extension: Schema | None = None
    declared: AttributeAt | None = None
    filter: model.Filter | None = None
    sub: Attribute | None = None


def parse_filter(
    text: str, resource_type: ResourceType, tolerances: Tolerances = _DEFAULT
) -> model.Filter:
    """Read a filter; raises InvalidFilter."""
    look_up = _LOOK_UP.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if look_up and (path := resource_type.plain.get(look_up[1].lower())):
        return model.Compare(path, Operator.EQ, look_up[2])
    return _Parser(text, resource_type, tolerances, InvalidFilter).filter()


def parse_path(
    text: str, resource_type: ResourceType, tolerances: Tolerances = _DEFAULT
) -> PatchPath:
    """Read a PATCH path; raises InvalidPath, or InvalidFilter for the filter in brackets.

    Raises UnknownPath for a well-formed path whose attribute no schema declares.
    """
    if plain := resource_type.find_path(text):
        return PatchPath(declared=plain[0], sub=plain[1])
    urn = text.strip().lower()
    if urn == resource_type.schema.id.lower():
        return PatchPath()
    if extension := resource_type.find_extension(urn):
        return PatchPath(extension=extension)
    return _Parser(text, resource_type, tolerances, InvalidPath).path()


def parse_sort(text: str, resource_type: ResourceType) -> model.Path:
    """Read a sortBy; raises InvalidValue, since RFC 7644 §3.4.2.3 names no scimType."""
    name = text.strip()
    found = resource_type.find_path(name)
    if found is None and (absent := resource_type.absent(name)):
        return absent.path()
    if found is None:
        raise InvalidValue(
            "parameter.sort_by",
            "sortBy names no attribute of a {type}: {name}.",
            type=resource_type.name,
            name=Quoted(name),
        )
    declared, sub = found
    target = sub or valued(declared.attribute)
    if is_never_returned(declared.attribute) or is_never_returned(target):
        raise InvalidValue(
            "parameter.sort_secret",
            "sortBy cannot use {name}: it is never returned.",
            name=declared.attribute.name,
        )
    if target.type is Type.COMPLEX:
        raise InvalidValue(
            "parameter.sort_complex",
            "sortBy must name a sub-attribute of {name}.",
            name=target.name,
        )
    return declared.path(None if target is declared.attribute else target)


class _Parser(Scanner):
    """Reads a filter or path from left to right by recursive descent."""

    def __init__(
        self,
        text: str,
        resource_type: ResourceType,
        tolerances: Tolerances,
        error: type[ScimError],
    ) -> None:
        super().__init__(text, error, tolerances)
        self._type = resource_type
        self._terms = 0
        self._inside: AttributeAt | None = None  # the attribute whose brackets are being read
        self._is_path = error is InvalidPath
        if len(text) > MAX_LENGTH:
            reason = "it is longer than {most} characters"
            self.refuse("length", reason, MAX_LENGTH, most=MAX_LENGTH)

    def filter(self) -> model.Filter:
        result = self._disjunction(0)
        if self.at < len(self.text):
            self.expected("and, or, or the end of the filter")
        return result

    # Terms: not before and before or (RFC 7644 §3.4.2.2)

    def _disjunction(self, depth: int) -> model.Filter:
        terms = [self._conjunction(depth)]
        while self.takes_word("or"):
            self._check_offered("or")
            terms.append(self._conjunction(depth))
        return terms[0] if len(terms) == 1 else model.Or(tuple(terms))

    def _conjunction(self, depth: int) -> model.Filter:
        terms = [self._term(depth)]
        while self.takes_word("and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else model.And(tuple(terms))

    def _term(self, depth: int) -> model.Filter:
        if self.takes("("):
            return self._enclosed(depth, ")")
        start = self.at
        name = self.word()
        if name.lower() == "not":
            self._check_offered("not")
            if not self.takes("("):
                self.expected("( after not")
            return model.Not(self._enclosed(depth, ")"))
        if not name:
            self.expected("the name of an attribute")
        self.skip()
        if self.text.startswith("[", self.at):
            return self._any_value(name, start, depth)
        return self._expression(name, start)

    def _check_offered(self, word: str) -> None:
        """Refuse, by policy, an operator just read that is neither eq nor and."""
        if word not in ("eq", "and") and not self.tolerances.allow("every_filter_operator"):
            reason = "{word} is not offered, only eq and and"
            self.refuse("not_offered", reason, self.at - len(word), word=word)

    def _enclosed(self, depth: int, closing: str) -> model.Filter:
        """Read what stands between the sign just taken and the one that closes it."""
        if depth >= MAX_DEPTH:
            reason = "it nests deeper than {most} levels"
            self.refuse("depth", reason, self.at - 1, most=MAX_DEPTH)
        inner = self._disjunction(depth + 1)
        if not self.takes(closing):
            self.expected(f"and, or, or {closing}")
        return inner

    def _any_value(self, name: str, start: int, depth: int) -> model.Filter:
        if self._inside:
            self.refuse("nested", "brackets cannot stand within brackets", self.at)
        declared = self._selectable(name, start)
        inner = self._bracketed(declared, depth)
        if self.text.startswith(".", self.at):
            inner = self._and_value(declared, inner)
        return model.AnyValue(declared.path(), inner)

    def _selectable(self, name: str, start: int) -> AttributeAt:
        declared, sub = self._find(name, start)
        if sub or not declared.attribute.multi_valued:
            reason = "brackets need a multi-valued attribute, {name} is none"
            self.refuse("brackets", reason, start, name=Quoted(name))
        return declared

    def _bracketed(self, declared: AttributeAt, depth: int) -> model.Filter:
        self.at += 1
        self._inside = declared
        inner = self._enclosed(depth, "]")
        self._inside = None
        return inner

    def _and_value(self, declared: AttributeAt, inner: model.Filter) -> model.Filter:
        """Read Entra's `emails[type eq "work"].value eq "x"`: both of the same value."""
        if not self.tolerances.allow("part_after_brackets"):
            reason = "nothing may follow the bracket but and, or, or the end"
            self.refuse("after_bracket", reason, self.at)
        self.at += 1
        start = self.at
        self._inside = declared
        last = self._expression(self.word(), start)
        self._inside = None
        terms = inner.terms if isinstance(inner, model.And) else (inner,)
        return model.And((*terms, last))

    def _expression(self, name: str, start: int) -> model.Filter:
        declared, sub = self._find(name, start)
        if is_never_returned(declared.attribute) or (sub and is_never_returned(sub)):
            reason = "{name} is never returned, so no filter can use it"
            self.refuse("never_returned", reason, start, name=Quoted(name))
        self._terms += 1
        if self._terms > MAX_TERMS:
            reason = "it has more than {most} comparisons"
            self.refuse("comparisons", reason, start, most=MAX_TERMS)
        self.skip()
        at = self.at
        word = self.word().lower()
        operator = _OPERATORS.get(word)
        if operator is None and word != "pr":
            self.at = at
            self.expected("pr or one of the operators eq, ne, co, sw, ew, gt, ge, lt, le")
        self._check_offered(word)
        if operator is None:
            return model.Present(self._path(declared, sub))
        return self._comparison(declared, sub, operator, at)

    def _comparison(
        self, declared: AttributeAt, sub: Attribute | None, operator: Operator, at: int
    ) -> model.Filter:
        attribute = sub or compared(declared.attribute, self.tolerances)
        if attribute is ABSENT.attribute:
            literal = self.literal(Type.DECIMAL)  # JSON needs no quotes, other texts do
            value = None if literal is None else str(literal)
            return model.Compare(self._path(declared, sub), operator, value)
        of_record = isinstance(self._type, Records)
        value = self.value(attribute, operator, at, of_record=of_record)
        part = None if attribute is declared.attribute else attribute
        found = model.Compare(self._path(declared, part), operator, value)
        return on_stored(found, self.tolerances.base_url)

    # Attributes, in any case (RFC 7644 §3.10)

    def _find(self, name: str, start: int) -> tuple[AttributeAt, Attribute | None]:
        if self._inside is None:
            found = find(self._type, name, self.tolerances)
            if found is None and (absent := self._type.absent(name)):
                return absent, None
            if found is None:
                owner, offset, part = unknown_part(self._type, name)
                self._unknown(part, start + offset, owner)
            return found
        attribute = self._inside.attribute
        if sub := attribute.subs.get(name.lower()):
            return self._inside, sub
        if name.lower() == "value" and not attribute.sub_attributes:
            return self._inside, None  # of a simple attribute `value` is the value itself
        if self._type.absent(name):
            return self._inside, ABSENT.attribute
        self._unknown(name, start, attribute.name)

    def _path(self, declared: AttributeAt, sub: Attribute | None) -> model.Path:
        path = declared.path(sub)
        return replace(path, steps=(), many=False) if self._inside else path

    def _unknown(self, name: str, start: int, owner: str) -> NoReturn:
        self.at = start
        if not name:
            self.expected("the name of an attribute")
        if self._is_path and _PATH.fullmatch(self.text):
            self.error = UnknownPath
        names = f"; it has {self._type.names}" if isinstance(self._type, Records) else ""
        reason = '{owner} has no attribute "{name}"{names}'
        self.refuse("no_attribute", reason, start, owner=owner, name=Quoted(name), names=names)

    def path(self) -> PatchPath:
        self.skip()
        start = self.at
        name = self.word()
        self.skip()
        inner = None
        if self.text.startswith("[", self.at):
            declared = self._selectable(name, start)
            self.error = InvalidFilter
            inner = self._bracketed(declared, 0)
            self.error = InvalidPath
            sub = self._sub_after(declared)
        else:
            declared, sub = self._find(name, start)
        self.skip()
        if self.at < len(self.text):
            self.expected("the end of the path")
        return PatchPath(None, declared, inner, sub)

    def _sub_after(self, declared: AttributeAt) -> Attribute | None:
        if not self.text.startswith(".", self.at):
            return None
        self.at += 1
        start = self.at
        name = self.word()
        attribute = declared.attribute
        return attribute.subs.get(name.lower()) or self._unknown(name, start, attribute.name)
