"""The normal form of what clients write: declared names, and the shapes that are declared.

Only names and tolerated shapes are dealt with here. What is of a wrong type passes unchanged and
is refused by the marshmallow schemas afterwards.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from projections.query.comparison import decimal_of
from projections.query.model import Type
from scim_api.protocol.comparands import part_of
from scim_api.protocol.decimals import canonical
from scim_api.protocol.errors import InvalidSyntax, InvalidValue
from scim_api.protocol.json_text import decoded
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.quotations import quoted, shortened
from scim_api.protocol.schema.attributes import Attribute, Declared, ResourceType, Schema

MAX_VALUES = 10_000  # of one attribute; members are not counted among them

_BOOLEANS = {"true": True, "false": False}
_ROLES = ("roles", "entitlements")  # what Okta may map to one text


def by_key(
    resource_type: ResourceType, body: Mapping[str, Any], tolerances: Tolerances
) -> dict[str, Any]:
    """Return a body's attributes by payload key, their values as the client wrote them."""
    found: dict[str, Any] = {}
    for declared, value in _declared(resource_type, body, tolerances):
        if declared.key in found:
            raise given_twice(declared.key)
        found[declared.key] = value
    return found


def _declared(
    resource_type: ResourceType, body: Mapping[str, Any], tolerances: Tolerances
) -> Iterator[tuple[Declared, Any]]:
    for name, value in body.items():
        if declared := resource_type.find(name):
            yield declared, value
        elif extension := resource_type.find_extension(name):
            yield from _extended(resource_type, extension, value, tolerances)
        else:
            ignore(name, tolerances)


def _extended(
    resource_type: ResourceType, extension: Schema, value: Any, tolerances: Tolerances
) -> Iterator[tuple[Declared, Any]]:
    for name, item in object_of(extension.id, value, tolerances).items():
        key = f"{extension.id}:{name}"
        if declared := resource_type.find(key):
            yield declared, item
        else:
            ignore(key, tolerances)


def is_nothing(value: Any, tolerances: Tolerances) -> bool:
    """Return whether null, or by policy an empty text, stands where a value is due."""
    return value is None or (value == "" and tolerances.allow("empty_means_unassigned"))


def is_unassigned(value: Any, tolerances: Tolerances) -> bool:
    """Return whether a single value stands for none at all (RFC 7643 §2.5, and by policy)."""
    return is_nothing(value, tolerances) or (value == [] and is_nothing("", tolerances))


def object_of(path: str, value: Any, tolerances: Tolerances) -> dict[str, Any]:
    """Return the attributes of an extension's object; none where it is unassigned."""
    value = one_object(value, tolerances, path)
    if is_unassigned(value, tolerances):
        return {}
    if not isinstance(value, dict):
        raise InvalidValue(f"{path} must be an object that holds the extension's attributes")
    return value


def value_of(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    """Return an attribute's value in normal form; None when it is unassigned.

    In a list, None or {} stands for an entry with nothing in it, so that entries can still be
    counted in errors.
    """
    if not attribute.multi_valued:
        return _one(attribute, value, tolerances, path)
    value = decoded(value, tolerances, path)
    if value == [] or is_nothing(value, tolerances):  # the same state as unassigned (RFC 7643 §2.5)
        return None
    if isinstance(value, str | dict) and tolerances.allow(_alone(attribute, value)):
        value = [value]
    if not isinstance(value, list):
        return value
    check_number(value, path)
    return [_entry(attribute, item, tolerances, path) for item in value]


def _alone(attribute: Attribute, value: str | dict[str, Any]) -> str:
    """Return the setting that tolerates one value without a list where a list is due."""
    if isinstance(value, dict):
        return "values_as_strings"
    return "roles_as_text" if attribute.name in _ROLES else "text_as_list"


def one_object(value: Any, tolerances: Tolerances, path: str, setting: str = "list_as_one") -> Any:
    """Return the value given where one object is due, out of JSON text or a tolerated list."""
    return decoded(
        _out_of_list(decoded(value, tolerances, path), tolerances, setting), tolerances, path
    )


def _out_of_list(value: Any, tolerances: Tolerances, setting: str = "list_as_one") -> Any:
    """Return the value of a list of one, by policy; any other value as it is."""
    alone = isinstance(value, list) and len(value) == 1 and tolerances.allow(setting)
    return value[0] if alone else value


def check_number(values: list[Any], path: str) -> None:
    """Refuse more values than an attribute can have; raises InvalidValue."""
    if len(values) > MAX_VALUES:
        raise InvalidValue(
            f"{path} must have {MAX_VALUES} values at most; it has {len(values)}",
            attributes=(path,),
        )


def parts_of(
    attribute: Attribute, value: Mapping[str, Any], tolerances: Tolerances, path: str
) -> dict[str, Any]:
    """Return an object's sub-attributes by declared name; None for one that is unassigned."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        sub = _part(attribute, name, value, tolerances)
        if sub is None:
            ignore(f"{path}.{name}", tolerances)
        elif sub.name in found:
            raise given_twice(f"{path}.{sub.name}")
        elif not sub.read_only:  # RFC 7644 §3.3, §3.5.1: ignored
            found[sub.name] = value_of(sub, item, tolerances, path)
    return found


def _part(
    attribute: Attribute, name: str, siblings: Mapping[str, Any], tolerances: Tolerances
) -> Attribute | None:
    """Find a sub-attribute; under an older name only where the present one is not given."""
    sub = attribute.subs.get(name.lower())
    if sub is None and not any(sibling.lower() == "value" for sibling in siblings):
        return part_of(attribute, name, tolerances)
    return sub


def single_of(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    """Return one value of an attribute in normal form, whether or not it can have several."""
    if attribute.multi_valued and attribute.type is Type.COMPLEX:
        return _entry(attribute, one_object(value, tolerances, path), tolerances, path)
    if attribute.multi_valued:
        return _entry(attribute, value, tolerances, path)
    return _one(attribute, value, tolerances, path)


def _entry(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    if attribute.type is Type.COMPLEX:
        value = decoded(value, tolerances, path)
    takes_strings = "value" in attribute.subs and isinstance(value, str) and value
    if takes_strings and tolerances.allow("values_as_strings"):
        value = {"value": value}
    return _one(attribute, value, tolerances, path)


def _one(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    if isinstance(value, list) and attribute.type is not Type.COMPLEX:
        value = _plain(_out_of_list(value, tolerances))
    if is_unassigned(value, tolerances):
        return None
    if attribute.type is Type.COMPLEX:
        return _object(attribute, value, tolerances, path)
    if attribute.type is Type.BOOLEAN and isinstance(value, str):
        return _boolean(value, tolerances)
    if attribute.type is Type.DECIMAL:
        return _decimal(value, tolerances, path)
    return value


def _decimal(value: Any, tolerances: Tolerances, path: str) -> Any:
    """Return a number as the one text in which it is kept."""
    number = decimal_of(value)
    if number is None:
        return value
    if isinstance(value, str) and not tolerances.allow("decimal_strings"):
        raise InvalidValue(f"{path} must be a number, without quotes")
    return canonical(number)


def _plain(value: Any) -> Any:
    """Return the `value` of an object that stood in a list where a plain value is due."""
    given = {name.lower(): item for name, item in value.items()} if isinstance(value, dict) else {}
    return given.get("value", value)


def _object(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    if not isinstance(value, dict) and not attribute.multi_valued:
        refers = "value" in attribute.subs
        value = one_object(
            value, tolerances, path, "reference_as_string" if refers else "list_as_one"
        )
        if is_unassigned(value, tolerances):
            return None
        if refers and isinstance(value, str) and tolerances.allow("reference_as_string"):
            return {"value": value}
    return parts_of(attribute, value, tolerances, path) if isinstance(value, dict) else value


def _boolean(text: str, tolerances: Tolerances) -> Any:
    boolean = _BOOLEANS.get(text.lower())
    return text if boolean is None or not tolerances.allow("boolean_strings") else boolean


def ignore(name: str, tolerances: Tolerances) -> None:
    """Pass over an attribute that no schema declares; raises InvalidValue by policy."""
    if not tolerances.allow("unknown_attributes_ignored"):
        raise InvalidValue(f"{printable(name)} is not an attribute of any schema served here")


def given_twice(name: str) -> InvalidSyntax:
    """Return the error for a name that stands twice in one object, in different spellings.

    One that no schema declares has to be made `printable` first.
    """
    return InvalidSyntax(f"{name} is given twice: upper and lower case do not matter")


def printable(name: str) -> str:
    """Return a client's name for something as the sentence of an error can show it."""
    return quoted(shortened(name, 200).encode("ascii", "backslashreplace").decode())
