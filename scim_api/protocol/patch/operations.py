"""PATCH operations: their form, their paths found in the declarations, their values read."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from projections.query.matching import matches
from projections.query.model import Type
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
from scim_api.protocol.patch.apply import MEMBERS, Op, Operation, check_dispensable
from scim_api.protocol.patch.values import naming, read_entry, read_parts, read_value
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType, Schema
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


_Item = tuple[Op, PatchPath, Any]  # one of Operations: op, path and value as the client wrote it


class Reader:
    """Reads the operations of one PATCH."""

    def __init__(self, resource_type: ResourceType, tolerances: Tolerances) -> None:
        self._type = resource_type
        self._tolerances = tolerances
        self._length = 0  # of all paths, and of keys that are paths

    def read(self, items: Iterable[Any]) -> Iterator[Operation]:
        """Yield the changes of single attributes; raises ScimError.

        Each value is read when its turn comes, so that of several faults the first is reported.
        """
        for op, path, value in self._known(items):
            if path.declared is None:
                yield from self._of_object(op, path.extension, value)
                continue
            raw = Operation(op, path.declared, path.filter, path.sub, value)
            if raw.read_only:
                raise Mutability.read_only(raw.name)
            yield from self._of_attribute(raw)

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
        return op, _ROOT if text in _NO_PATH else self._path(text), value

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

    def _of_attribute(self, raw: Operation) -> Iterable[Operation]:
        """Return what an operation on an attribute that clients may change comes to."""
        if raw.declared.key == "schemas":
            return self._of_schemas(raw)
        if raw.attribute.write_only:
            check_secret(raw.declared, raw.value)
            return ()
        return (raw if raw.declared.key == MEMBERS else self._read(raw),)

    def _of_object(self, op: Op, extension: Schema | None, value: Any) -> Iterator[Operation]:
        """Take each key of the value as a path of its own (RFC 7644 §3.5.2.1, §3.5.2.3)."""
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

    def _of_key(self, op: Op, prefix: str, name: str, value: Any) -> Iterable[Operation]:
        path = self._path_of_key(prefix, name)
        if path is None:
            ignore(prefix + name, self._tolerances)
            return ()
        # A filter as a key is no path of RFC 7644 §3.5.2.3: where none matches, it may create.
        op = Op.ADD if path.filter else op
        if path.declared is None:
            return self._of_object(op, path.extension, value)
        raw = Operation(op, path.declared, path.filter, path.sub, value)
        if raw.read_only:  # clients send back what they read
            return (raw,)
        if path.declared.key == "schemas" and is_unassigned(value, self._tolerances):
            return ()
        return self._of_attribute(raw)

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
                yield self._read(Operation(Op.REMOVE, declared, None, None))

    def _of_schemas(self, raw: Operation) -> Iterator[Operation]:
        """Remove the attributes of the extensions that are taken out of `schemas`.

        As `schemas` follows from the attributes there are, adding or replacing a URN changes
        nothing.
        """
        op, value, filter_, core = raw.op, raw.value, raw.filter, self._type.schema.id
        if op is not Op.REMOVE:
            urns = value if isinstance(value, list) else [value]
            check_urns(self._type, urns, self._tolerances)
        unassigns = op is Op.REPLACE and value == []  # RFC 7643 §2.5
        removes = op is Op.REMOVE and (filter_ is None or matches(filter_, core))
        if unassigns or removes:
            raise Mutability(
                "mutability.schemas", "schemas is required, and must contain {urn}", urn=core
            )
        if op is Op.REMOVE and filter_ is not None:
            for extension in self._type.extensions:
                if matches(filter_, extension.id):
                    yield from self._removed(extension)

    # Values

    def _read(self, raw: Operation) -> Operation:
        """Return an operation with its value read; raises ScimError."""
        value = self._named(raw) if raw.op is Op.REMOVE else self._given(raw)
        check = raw.filter and partial(read_parts, raw.declared, tolerances=_LENIENT)
        return Operation(raw.op, raw.declared, raw.filter, raw.sub, value, check or None)

    def _named(self, raw: Operation) -> Any:
        """Return the test of which values a remove names; None where it names none of its own."""
        attribute, sub, named = raw.attribute, raw.sub, None
        if attribute.multi_valued and sub and raw.filter is None and raw.value is not None:
            raise InvalidValue(
                "patch.remove_value_of_part",
                "remove with a value needs the path {name}, or a filter",
                name=raw.declared.key,
            )
        nothing = is_nothing(raw.value, self._tolerances) if raw.filter else raw.value is None
        if attribute.multi_valued and not nothing:
            given = read_value(raw.declared, sub, raw.value, self._tolerances, partial=True)
            named = naming(attribute, sub, given)
        if sub:
            check_dispensable(attribute, [sub.name])
        return named

    def _given(self, raw: Operation) -> Any:
        """Return what an add or replace gives: the new value, or the parts of one it selects."""
        attribute, sub, tolerances = raw.attribute, raw.sub, self._tolerances
        if sub:
            part = read_value(raw.declared, sub, raw.value, tolerances)
            if part is None and raw.op is Op.REPLACE:
                check_dispensable(attribute, [sub.name])
            return {sub.name: part}
        if attribute.type is Type.COMPLEX and (raw.filter or not attribute.multi_valued):
            return read_parts(raw.declared, raw.value, tolerances)
        if raw.filter and raw.op is Op.ADD:
            raise InvalidPath(
                "path.plain_values",
                "{name} holds plain values: add to it by its path alone",
                name=raw.declared.key,
            )
        if raw.filter:
            return read_entry(raw.declared, raw.value, tolerances)
        some = raw.op is Op.ADD
        given = read_value(raw.declared, None, raw.value, tolerances, some=some)
        return (
            (with_values(attribute, given, tolerances) or []) if attribute.multi_valued else given
        )
