"""PATCH operations: their form, and the edits of single attributes that they come to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from projections.query.matching import matches_value
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
from scim_api.protocol.fields import is_secret
from scim_api.protocol.filter import PatchPath, parse_path
from scim_api.protocol.patch.apply import Edit, Op, read_only
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType, Schema
from scim_api.protocol.values import given_twice, ignore, is_unassigned, one_object, printable

MAX_PATHS = 4_194_304  # characters of all paths of one PATCH: a few seconds to read

_ROOT = PatchPath()
_NO_PATH = (None, "")
_OPS = {op.value: op for op in Op}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, its form checked and its path found in the declarations."""

    op: Op
    path: PatchPath
    value: Any


class Paths:
    """Reads the paths of one PATCH, keys of a value that are paths among them."""

    def __init__(self, resource_type: ResourceType, tolerances: Tolerances) -> None:
        self.resource_type = resource_type
        self.tolerances = tolerances
        self._length = 0

    def read(self, text: str) -> PatchPath:
        """Return what a path selects; raises ScimError, BodyTooLarge if all are too long."""
        self._length += len(text)
        if self._length > MAX_PATHS:
            raise BodyTooLarge(
                f"The paths of this PATCH have more than {MAX_PATHS} characters: send it in"
                " several."
            )
        return parse_path(text, self.resource_type, self.tolerances)


def operation_of(paths: Paths, item: Any) -> Operation:
    """Read an operation; raises ScimError."""
    tolerances = paths.tolerances
    if not isinstance(item, dict):
        raise InvalidSyntax("each of Operations must be an object with op, path and value")
    given = by_folded_name(item)
    op, text, value = _op(given.get("op"), tolerances), given.get("path"), given.get("value")
    if op is Op.REMOVE and text in _NO_PATH:  # RFC 7644 §3.5.2.2
        raise NoTarget("remove needs a path that names what to remove")
    if op is Op.REMOVE and value is not None and not tolerances.allow("patch_remove_by_value"):
        raise InvalidValue("remove takes no value: say in a filter of the path what to remove")
    if op is not Op.REMOVE and "value" not in given:
        raise InvalidValue(f"{op} needs a value")
    if op is not Op.REMOVE and text in _NO_PATH and not tolerances.allow("pathless_patch"):
        raise InvalidSyntax(f"{op} without a path is not accepted here: name the attribute in path")
    return Operation(op, _path(paths, text), value)


def known_operations(paths: Paths, items: Iterable[Any]) -> list[Operation]:
    """Read operations; those with an unknown path are passed over by policy.

    Raises ScimError; UnknownPath if that leaves none.
    """
    known: list[Operation] = []
    unknown: UnknownPath | None = None
    for item in items:
        try:
            known.append(operation_of(paths, item))
        except UnknownPath as error:
            unknown = unknown or error
    if unknown and not (known and paths.tolerances.allow("unknown_attributes_ignored")):
        raise unknown
    return known


def by_folded_name(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's members by lower-case name; raises InvalidSyntax if one is there twice."""
    given: dict[str, Any] = {}
    for name, value in members.items():
        folded = name.lower()
        if folded in given:
            raise given_twice(printable(folded))
        given[folded] = value
    return given


def _op(text: Any, tolerances: Tolerances) -> Op:
    op = _OPS.get(text.lower()) if isinstance(text, str) else None
    if op is None or (text != op and not tolerances.allow("patch_op_any_case")):
        raise InvalidSyntax("op must be add, remove or replace")
    return op


def _path(paths: Paths, text: Any) -> PatchPath:
    if text in _NO_PATH:
        return _ROOT
    if not isinstance(text, str):
        raise InvalidPath("path must be text in quotes")
    return paths.read(text)


def edits_of(paths: Paths, operation: Operation) -> Iterator[Edit]:
    """Part an operation into edits of single attributes; raises ScimError.

    Edits of what is readOnly come from the keys of a value only: clients send back what they read.
    """
    path, op, value = operation.path, operation.op, operation.value
    if path.declared is None:
        several = _removals if op is Op.REMOVE else _by_key
        yield from several(paths, operation)
        return
    edit = Edit(op, path.declared, path.filter, path.sub, value)
    if edit.read_only:
        raise read_only(edit.name)
    if path.declared.key == "schemas":
        yield from _edits_of_schemas(paths, operation)
    elif is_secret(path.declared.attribute):
        check_secret(path.declared, value)
    else:
        yield edit


def _removals(paths: Paths, operation: Operation) -> Iterator[Edit]:
    if operation.path.extension is None:  # RFC 7644 §3.5.2.2
        raise NoTarget("remove needs a path that names what to remove")
    if operation.value is not None:
        raise InvalidValue("remove with a value needs the path of a multi-valued attribute")
    yield from _all_removed(paths.resource_type, operation.path.extension)


def _all_removed(resource_type: ResourceType, extension: Schema) -> Iterator[Edit]:
    for declared in resource_type.writable.values():
        if declared.steps[0] == extension.id:
            yield Edit(Op.REMOVE, declared, None, None)


def _by_key(paths: Paths, operation: Operation) -> Iterator[Edit]:
    """Take each key of the value as a path of its own (RFC 7644 §3.5.2.1, §3.5.2.3)."""
    tolerances = paths.tolerances
    extension = operation.path.extension
    value = one_object(operation.value, tolerances, extension.id if extension else "value")
    if extension and is_unassigned(value, tolerances):
        yield from _all_removed(paths.resource_type, extension)
        return
    if not isinstance(value, dict):
        raise InvalidValue("where path names no attribute, value must be an object of attributes")
    by_folded_name(value)
    prefix = f"{extension.id}:" if extension else ""
    for name, item in value.items():
        path = _path_of_key(paths, prefix, name)
        if path is None:
            ignore(prefix + name, tolerances)
            continue
        # A filter as a key is no path of RFC 7644 §3.5.2.3: where none matches, it may create.
        op = Op.ADD if path.filter else operation.op
        edit = path.declared and Edit(op, path.declared, path.filter, path.sub, item)
        if edit and edit.read_only:
            yield edit
        elif not (edit and edit.declared.key == "schemas" and is_unassigned(item, tolerances)):
            yield from edits_of(paths, Operation(op, path, item))


def _path_of_key(paths: Paths, prefix: str, name: str) -> PatchPath | None:
    """Return what a key of a value stands for; None for what no schema declares."""
    resource_type = paths.resource_type
    declared = resource_type.find(prefix + name)
    if declared and ":" not in name:
        return PatchPath(declared=declared)
    if not prefix and (extension := resource_type.find_extension(name)):
        return PatchPath(extension=extension)
    if name.isalnum():  # a plain name that nothing declares is no path
        return None
    try:
        path = paths.read(prefix + name)
    except (InvalidPath, InvalidFilter):
        return None
    if not paths.tolerances.allow("patch_dotted_keys"):
        raise InvalidValue(f"{printable(name)} is a path: as a key in value, give a plain name")
    return path


def _edits_of_schemas(paths: Paths, operation: Operation) -> Iterator[Edit]:
    """Remove the attributes of the extensions that are taken out of `schemas`.

    As `schemas` follows from the attributes there are, adding or replacing a URN changes nothing.
    """
    resource_type, value = paths.resource_type, operation.value
    filter_, core = operation.path.filter, resource_type.schema.id
    if operation.op is not Op.REMOVE:
        check_urns(resource_type, value if isinstance(value, list) else [value], paths.tolerances)
        if operation.op is Op.REPLACE and value == []:  # unassigned (RFC 7643 §2.5)
            raise Mutability(f"schemas is required, and must contain {core}")
        return
    if filter_ is None or matches_value(filter_, core):
        raise Mutability(f"schemas is required, and must contain {core}")
    for extension in resource_type.extensions:
        if matches_value(filter_, extension.id):
            yield from _all_removed(resource_type, extension)
