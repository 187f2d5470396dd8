"""PATCH operations: their form, their paths found in the declarations, their values read."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from projections.query.matching import matches_value
from projections.query.model import And, Compare, Filter, Operator, Type
from scim_api.protocol.body import check_secret, check_urns
from scim_api.protocol.errors import (
    BodyTooLarge,
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
    UnknownPath,
)
from scim_api.protocol.filter import PatchPath, parse_path
from scim_api.protocol.multi_valued import with_values
from scim_api.protocol.patch.apply import MEMBERS, Op, Operation, check_dispensable, naming
from scim_api.protocol.patch.values import read_entry, read_parts, read_value
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, Declared, ResourceType, Schema
from scim_api.protocol.values import (
    by_folded_name,
    ignore,
    is_nothing,
    is_unassigned,
    one_object,
    printable,
)

MAX_PATHS = 4_194_304  # characters of all paths of one PATCH: a few seconds to read

_LENIENT = Tolerances()
_ROOT = PatchPath()
_NO_PATH = (None, "")
_OPS = {op.value: op for op in Op}


class _Item(NamedTuple):
    """One of Operations: its form checked, its path read, its value not yet."""

    op: Op
    path: PatchPath
    value: Any


class Reader:
    """Reads the operations of one PATCH."""

    def __init__(self, resource_type: ResourceType, tolerances: Tolerances) -> None:
        self._type = resource_type
        self._tolerances = tolerances
        self._length = 0  # of all paths, and of keys that are paths

    def read(self, items: Iterable[Any]) -> Iterator[Operation]:
        """Yield the changes of single attributes; raises ScimError.

        Each value is read when its turn comes, so that of several faults the first is told.
        """
        for item in self._known(items):
            yield from self._operations(item)

    # Form and path

    def _known(self, items: Iterable[Any]) -> list[_Item]:
        """Read forms and paths; unknown paths are passed over by policy, unless all are."""
        known: list[_Item] = []
        unknown: UnknownPath | None = None
        for item in items:
            try:
                known.append(self._item(item))
            except UnknownPath as error:
                unknown = unknown or error
        if unknown and not (known and self._tolerances.allow("unknown_attributes_ignored")):
            raise unknown
        return known

    def _item(self, item: Any) -> _Item:
        tolerances = self._tolerances
        if not isinstance(item, dict):
            raise InvalidSyntax(
                "patch.operation", "each of Operations must be an object with op, path and value"
            )
        given = by_folded_name(item)
        op, text, value = self._op(given.get("op")), given.get("path"), given.get("value")
        if op is Op.REMOVE and self._is_root(text):  # RFC 7644 §3.5.2.2
            raise NoTarget("path.missing", "remove needs a path that names what to remove")
        if op is Op.REMOVE and value is not None and not tolerances.allow("patch_remove_by_value"):
            raise InvalidValue(
                "patch.remove_value",
                "remove takes no value: say in a filter of the path what to remove",
            )
        if op is not Op.REMOVE and "value" not in given:
            raise InvalidValue("patch.no_value", "{op} needs a value", op=op)
        if text in _NO_PATH and not tolerances.allow("pathless_patch"):
            raise InvalidSyntax(
                "path.required",
                "{op} without a path is not accepted here: name the attribute in path",
                op=op,
            )
        return _Item(op, _ROOT if text in _NO_PATH else self._path(text), value)

    def _op(self, text: Any) -> Op:
        op = _OPS.get(text.lower()) if isinstance(text, str) else None
        if op is None or (text != op and not self._tolerances.allow("patch_op_any_case")):
            raise InvalidSyntax("patch.op", "op must be add, remove or replace")
        return op

    def _is_root(self, text: Any) -> bool:
        """Return whether a path names the resource itself, as the URN of its schema does."""
        if text in _NO_PATH:
            return True
        return isinstance(text, str) and text.strip().lower() == self._type.schema.id.lower()

    def _path(self, text: Any) -> PatchPath:
        """Return what a path selects; raises ScimError, BodyTooLarge if all are too long."""
        if not isinstance(text, str):
            raise InvalidPath("path.no_text", "path must be text in quotes")
        self._length += len(text)
        if self._length > MAX_PATHS:
            raise BodyTooLarge(
                "patch.paths_too_long",
                "The paths of this PATCH have more than {most} characters: send it in several.",
                most=MAX_PATHS,
            )
        return parse_path(text, self._type, self._tolerances)

    # One attribute each

    def _operations(self, item: _Item) -> Iterator[Operation]:
        op, path, value = item
        if path.declared is None:
            yield from self._of_object(item)
        elif path.declared.attribute.read_only or (path.sub and path.sub.read_only):
            raise Mutability.read_only(Operation(op, path.declared, None, path.sub).name)
        elif path.declared.key == "schemas":
            yield from self._of_schemas(item)
        elif path.declared.attribute.write_only:
            check_secret(path.declared, value)
        else:
            yield self._operation(op, path.declared, path.filter, path.sub, value)

    def _of_object(self, item: _Item) -> Iterator[Operation]:
        """Take each key of the value as a path of its own (RFC 7644 §3.5.2.1, §3.5.2.3)."""
        op, extension, value = item.op, item.path.extension, item.value
        if op is Op.REMOVE and value is not None:
            raise InvalidValue(
                "patch.remove_value_of_one",
                "remove with a value needs the path of a multi-valued attribute",
            )
        if op is not Op.REMOVE:
            value = one_object(value, self._tolerances, extension.id if extension else "value")
        if extension and (op is Op.REMOVE or is_unassigned(value, self._tolerances)):
            yield from self._removed(extension)
            return
        if not isinstance(value, dict):
            raise InvalidValue(
                "patch.no_object",
                "where path names no attribute, value must be an object of attributes",
            )
        by_folded_name(value)
        prefix = f"{extension.id}:" if extension else ""
        for name, inner in value.items():
            yield from self._of_key(op, prefix, name, inner)

    def _of_key(self, op: Op, prefix: str, name: str, value: Any) -> Iterator[Operation]:
        path = self._path_of_key(prefix, name)
        if path is None:
            ignore(prefix + name, self._tolerances)
            return
        # A filter as a key is no path of RFC 7644 §3.5.2.3: where none matches, it may create.
        op = Op.ADD if path.filter else op
        if path.declared:
            raw = Operation(op, path.declared, path.filter, path.sub, value)
            if raw.read_only:  # clients send back what they read
                yield raw
                return
            if path.declared.key == "schemas" and is_unassigned(value, self._tolerances):
                return
        yield from self._operations(_Item(op, path, value))

    def _path_of_key(self, prefix: str, name: str) -> PatchPath | None:
        """Return what a key of a value stands for; None for what no schema declares."""
        declared = self._type.find(prefix + name)
        if declared and ":" not in name:
            return PatchPath(declared=declared)
        if not prefix and (extension := self._type.find_extension(name)):
            return PatchPath(extension=extension)
        if name.isalnum():  # a plain name that nothing declares is no path
            return None
        try:
            path = self._path(prefix + name)
        except (InvalidPath, InvalidFilter):
            return None
        if not self._tolerances.allow("patch_dotted_keys"):
            raise InvalidValue(
                "patch.path_as_key",
                "{name} is a path: as a key in value, give a plain name",
                name=printable(name),
            )
        return path

    def _removed(self, extension: Schema) -> Iterator[Operation]:
        for declared in self._type.writable.values():
            if declared.steps[0] == extension.id:
                yield self._operation(Op.REMOVE, declared, None, None, None)

    def _of_schemas(self, item: _Item) -> Iterator[Operation]:
        """Remove the attributes of the extensions that are taken out of `schemas`.

        As `schemas` follows from the attributes there are, adding or replacing a URN changes
        nothing.
        """
        op, value, filter_, core = item.op, item.value, item.path.filter, self._type.schema.id
        if op is not Op.REMOVE:
            urns = value if isinstance(value, list) else [value]
            check_urns(self._type, urns, self._tolerances)
        unassigns = op is Op.REPLACE and value == []  # RFC 7643 §2.5
        removes = op is Op.REMOVE and (filter_ is None or matches_value(filter_, core))
        if unassigns or removes:
            raise Mutability(
                "mutability.schemas", "schemas is required, and must contain {urn}", urn=core
            )
        if op is Op.REMOVE and filter_ is not None:
            for extension in self._type.extensions:
                if matches_value(filter_, extension.id):
                    yield from self._removed(extension)

    # Values

    def _operation(
        self, op: Op, declared: Declared, filter: Filter | None, sub: Attribute | None, value: Any
    ) -> Operation:
        """Return an operation with its value read; raises ScimError."""
        described = None if filter is None else _described(filter)
        if declared.key != MEMBERS:  # whose many values members.py reads
            read = self._removes if op is Op.REMOVE else self._gives
            value = read(op, declared, filter, sub, value)
        check = partial(read_parts, declared, described, _LENIENT) if described else None
        return Operation(op, declared, filter, sub, value, described, check)

    def _removes(
        self, _: Op, declared: Declared, filter: Filter | None, sub: Attribute | None, value: Any
    ) -> Any:
        """Return the test of which values a remove names; None where it names none of its own."""
        attribute, named = declared.attribute, None
        if attribute.multi_valued and sub and filter is None and value is not None:
            raise InvalidValue(
                "patch.remove_value_at_sub",
                "remove with a value needs the path {name}, or a filter",
                name=declared.key,
            )
        nothing = value is None if filter is None else is_nothing(value, self._tolerances)
        if attribute.multi_valued and not nothing:
            given = read_value(declared, sub, value, self._tolerances, partial=True)
            named = naming(attribute, sub, given)
        if sub:
            check_dispensable(attribute, [sub.name])
        return named

    def _gives(
        self, op: Op, declared: Declared, filter: Filter | None, sub: Attribute | None, value: Any
    ) -> Any:
        """Return what an add or replace gives: the new value, or the parts of one it selects."""
        attribute, tolerances = declared.attribute, self._tolerances
        if sub:
            part = read_value(declared, sub, value, tolerances)
            if part is None and op is Op.REPLACE:
                check_dispensable(attribute, [sub.name])
            return {sub.name: part}
        if attribute.type is Type.COMPLEX and (filter or not attribute.multi_valued):
            return read_parts(declared, value, tolerances)
        if filter and op is Op.ADD:
            raise InvalidPath(
                "path.plain_values",
                "{name} holds plain values: add to it by its path alone",
                name=declared.key,
            )
        if filter:
            return read_entry(declared, value, tolerances)
        given = read_value(declared, None, value, tolerances, some=op is Op.ADD)
        if not attribute.multi_valued:
            return given
        return with_values(attribute, given, tolerances) or []


def _described(filter: Filter) -> dict[str, Any] | None:
    """Return what a filter says of the value it looks for, if it says it by `eq` alone."""
    terms = filter.terms if isinstance(filter, And) else (filter,)
    equal = {
        term.path.sub: term.value
        for term in terms
        if isinstance(term, Compare) and term.operator is Operator.EQ and term.path.sub
    }
    return equal if len(equal) == len(terms) else None
