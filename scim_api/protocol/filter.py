"""Filter, path and sortBy text read into bound terms (RFC 7644 figures 1 and 7, §3.10)."""

import re
from dataclasses import dataclass, replace
from typing import NoReturn

from projections.query import model
from projections.query.model import Operator, Type
from scim_api.protocol.addresses import on_stored
from scim_api.protocol.comparands import compared, find, is_secret, unknown_part, valued
from scim_api.protocol.errors import (
    InvalidFilter,
    InvalidPath,
    InvalidValue,
    ScimError,
    UnknownPath,
)
from scim_api.protocol.operands import Unfit, Value, check_operator, fitted, read_literal, with_time
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import (
    ABSENT,
    Attribute,
    Declared,
    Records,
    ResourceType,
    Schema,
)
from scim_api.protocol.text_scanner import Cursor, shown

MAX_LENGTH = 8192
MAX_TERMS = 200
MAX_DEPTH = 32

_OPERATORS = {operator.value: operator for operator in Operator}
# Possessive, so that a long run of blanks is passed over once.
# A name begins with a letter of any script, `_` or `$`: whatever people name attributes.
_PATH = re.compile(
    r'\s*+([^\W\d]|\$)[^\s\[\]()"]*+\s*+(\[.*\]\s*+(\.([^\W\d]|\$)[\w$-]*+\s*+)?)?', re.DOTALL
)
_DEFAULT = Tolerances()


@dataclass(frozen=True, slots=True)
class PatchPath:
    """What a PATCH path selects; nothing of it set means the resource itself.

    `filter` is relative to one value of `declared`. `extension` is a path that is only the URN
    of a schema extension.
    """

    extension: Schema | None = None
    declared: Declared | None = None
    filter: model.Filter | None = None
    sub: Attribute | None = None


def parse_filter(
    text: str, resource_type: ResourceType, tolerances: Tolerances = _DEFAULT
) -> model.Filter:
    """Read a filter; raises InvalidFilter."""
    reader = _Reader(text, resource_type, tolerances, InvalidFilter)
    result = reader.disjunction(0)
    if reader.at < len(text):
        reader.expected("and, or, or the end of the filter")
    return result


def parse_path(
    text: str, resource_type: ResourceType, tolerances: Tolerances = _DEFAULT
) -> PatchPath:
    """Read a PATCH path; raises InvalidPath, or InvalidFilter for what stands in brackets.

    UnknownPath is raised for what has the form of a path and names what no schema declares.
    """
    urn = text.strip().lower()
    if urn == resource_type.schema.id.lower():
        return PatchPath()
    if extension := resource_type.find_extension(urn):
        return PatchPath(extension=extension)
    return _Reader(text, resource_type, tolerances, InvalidPath).path()


def parse_sort(text: str, resource_type: ResourceType) -> model.Path:
    """Read a sortBy; raises InvalidValue, since RFC 7644 §3.4.2.3 names no scimType."""
    name = text.strip()
    found = resource_type.find_path(name)
    if found is None and (absent := resource_type.absent(name)):
        return absent.path()
    if found is None:
        raise InvalidValue(f"sortBy names no attribute of a {resource_type.name}: {shown(name)}.")
    declared, sub = found
    target = valued(declared.attribute) if sub is None else sub
    if is_secret(declared.attribute, target):
        raise InvalidValue(f"sortBy cannot use {declared.attribute.name}: it is never returned.")
    if target.type is Type.COMPLEX:
        raise InvalidValue(f"sortBy must name a sub-attribute of {target.name}.")
    return declared.path(None if target is declared.attribute else target)


class _Reader(Cursor):
    """Reads a filter or path from left to right by recursive descent."""

    def __init__(
        self, text: str, resource_type: ResourceType, tolerances: Tolerances, error: type[ScimError]
    ) -> None:
        super().__init__(text, error)
        self._type = resource_type
        self._tolerances = tolerances
        self._terms = 0
        self._inside: Declared | None = None
        self._is_path = error is InvalidPath
        if len(text) > MAX_LENGTH:
            self.refuse(f"it is longer than {MAX_LENGTH} characters", MAX_LENGTH)

    # Terms: not before and before or (RFC 7644 §3.4.2.2)

    def disjunction(self, depth: int) -> model.Filter:
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
            return self._group(depth)
        start = self.at
        name = self.word()
        if name.lower() == "not":
            self._check_offered("not")
            if not self.takes("("):
                self.expected("( after not")
            return model.Not(self._group(depth))
        if not name:
            self.expected("the name of an attribute")
        self.skip()
        if self.text.startswith("[", self.at):
            return self._any_value(name, start, depth)
        return self._expression(name, start)

    def _check_offered(self, word: str) -> None:
        """Refuse, by policy, an operator just read that is neither eq nor and."""
        if word not in ("eq", "and") and not self._tolerances.allow("every_filter_operator"):
            self.refuse(f"{word} is not offered, only eq and and", self.at - len(word))

    def _group(self, depth: int) -> model.Filter:
        inner = self.disjunction(self._deeper(depth))
        if not self.takes(")"):
            self.expected("and, or, or )")
        return inner

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            self.refuse(f"it nests deeper than {MAX_DEPTH} levels", self.at - 1)
        return depth + 1

    def _any_value(self, name: str, start: int, depth: int) -> model.Filter:
        if self._inside:
            self.refuse("brackets cannot stand within brackets", self.at)
        declared = self._selectable(name, start)
        inner = self._bracketed(declared, depth)
        if self.text.startswith(".", self.at):
            inner = self._and_value(declared, inner)
        return model.AnyValue(declared.path(), inner)

    def _selectable(self, name: str, start: int) -> Declared:
        declared, sub = self._find(name, start)
        if sub or not declared.attribute.multi_valued:
            self.refuse(f"brackets need a multi-valued attribute, {shown(name)} is none", start)
        return declared

    def _bracketed(self, declared: Declared, depth: int) -> model.Filter:
        self.at += 1
        depth = self._deeper(depth)
        self._inside, outside = declared, self._inside
        inner = self.disjunction(depth)
        if not self.takes("]"):
            self.expected("and, or, or ]")
        self._inside = outside
        return inner

    def _and_value(self, declared: Declared, inner: model.Filter) -> model.Filter:
        """Read Entra's `emails[type eq "work"].value eq "x"`: both of the same value."""
        if not self._tolerances.allow("part_after_brackets"):
            self.refuse("nothing may follow the bracket but and, or, or the end", self.at)
        self.at += 1
        start = self.at
        self._inside = declared
        last = self._expression(self.word(), start)
        self._inside = None
        terms = inner.terms if isinstance(inner, model.And) else (inner,)
        return model.And((*terms, last))

    def _expression(self, name: str, start: int) -> model.Filter:
        declared, sub = self._find(name, start)
        if is_secret(declared.attribute, sub or declared.attribute):
            self.refuse(f"{shown(name)} is never returned, so no filter can use it", start)
        self._terms += 1
        if self._terms > MAX_TERMS:
            self.refuse(f"it has more than {MAX_TERMS} comparisons", start)
        self.skip()
        at = self.at
        word = self.word().lower()
        operator = _OPERATORS.get(word)
        if operator or word == "pr":
            self._check_offered(word)
        if word == "pr":
            return model.Present(self._path(declared, sub))
        if operator:
            return self._comparison(declared, sub, operator, at)
        self.at = at
        self.expected("pr or one of the operators eq, ne, co, sw, ew, gt, ge, lt, le")

    def _comparison(
        self, declared: Declared, sub: Attribute | None, operator: Operator, at: int
    ) -> model.Filter:
        attribute = sub or compared(declared.attribute, self._tolerances)
        if attribute is ABSENT.attribute:
            return model.Compare(self._path(declared, sub), operator, self._any_literal())
        try:
            check_operator(attribute, operator)
            self.skip()
            at = self.at
            literal = self._literal(attribute)
            if isinstance(self._type, Records):
                literal = with_time(attribute, operator, literal)
            value = fitted(attribute, operator, literal)
        except Unfit as error:
            self.refuse(error.reason, at if error.at is None else error.at)
        part = None if attribute is declared.attribute else attribute
        found = model.Compare(self._path(declared, part), operator, value)
        return on_stored(found, self._tolerances.base_url)

    def _any_literal(self) -> str | None:
        """Take what an attribute without a type is compared with, all but null as a text."""
        self.skip()
        try:
            value = self._read_literal(Type.DECIMAL)  # JSON needs no quotes, other texts do
        except Unfit as error:
            self.refuse(error.reason, self.at if error.at is None else error.at)
        return None if value is None else str(value)

    def _literal(self, attribute: Attribute) -> Value:
        start = self.at
        value = self._read_literal(attribute.type)
        quoted = isinstance(value, str) and attribute.type is Type.BOOLEAN
        if quoted and not self._tolerances.allow("boolean_strings"):
            raise Unfit(f"{attribute.name} is compared with true or false, without quotes", start)
        return value

    def _read_literal(self, type_: Type) -> Value:
        value, end, bare = read_literal(self.text, self.at, type_)
        if bare and not self._tolerances.allow("unquoted_filter_literal"):
            raise Unfit("a text value must be in double quotes", self.at)
        self.at = end
        return value

    # Attributes, in any case (RFC 7644 §3.10)

    def _find(self, name: str, start: int) -> tuple[Declared, Attribute | None]:
        if self._inside is None:
            found = find(self._type, name, self._tolerances)
            if found is None and (absent := self._type.absent(name)):
                return absent, None
            return found or self._undeclared(name, start)
        attribute = self._inside.attribute
        if sub := attribute.subs.get(name.lower()):
            return self._inside, sub
        if name.lower() == "value" and not attribute.sub_attributes:
            return self._inside, None  # of a simple attribute `value` is the value itself
        if self._type.absent(name):
            return self._inside, ABSENT.attribute
        self._unknown(name, start, attribute.name)

    def _path(self, declared: Declared, sub: Attribute | None) -> model.Path:
        path = declared.path(sub)
        return replace(path, steps=(), many=False) if self._inside else path

    def _undeclared(self, name: str, start: int) -> NoReturn:
        """Refuse a name, by the part of it that is wrong: the whole can be long."""
        owner, offset, part = unknown_part(self._type, name)
        self._unknown(part, start + offset, owner)

    def _unknown(self, name: str, start: int, owner: str) -> NoReturn:
        self.at = start
        if not name:
            self.expected("the name of an attribute")
        if self._is_path and _PATH.fullmatch(self.text):
            self.error = UnknownPath
        others = f"; it has {self._type.names}" if isinstance(self._type, Records) else ""
        self.refuse(f'{owner} has no attribute "{shown(name)}"{others}', start)

    def path(self) -> PatchPath:
        self.skip()
        start = self.at
        name = self.word()
        self.skip()
        if not self.text.startswith("[", self.at):
            declared, sub = self._find(name, start)
            return self._whole(PatchPath(declared=declared, sub=sub))
        declared = self._selectable(name, start)
        self.error = InvalidFilter
        inner = self._bracketed(declared, 0)
        self.error = InvalidPath
        return self._whole(PatchPath(None, declared, inner, self._sub_after(declared)))

    def _sub_after(self, declared: Declared) -> Attribute | None:
        if not self.text.startswith(".", self.at):
            return None
        self.at += 1
        start = self.at
        name = self.word()
        attribute = declared.attribute
        return attribute.subs.get(name.lower()) or self._unknown(name, start, attribute.name)

    def _whole(self, path: PatchPath) -> PatchPath:
        self.skip()
        if self.at < len(self.text):
            self.expected("the end of the path")
        return path
