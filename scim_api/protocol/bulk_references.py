"""References between bulk operations: `bulkId:x` in paths, values and filters (RFC 7644 §3.7.2)."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from scim_api.protocol.json_text import MAX_DEPTH, deeper_than, dumped, said_by
from scim_api.protocol.schema.attributes import ResourceType

Swap = Callable[[str, bool], str | None]
"""Given a bulkId, and whether nothing but a reference can stand there, return the id for it.

None leaves the text as it is.
"""

MARK = "bulkId:"
MAX_TEXTS = 4  # JSON texts within each other: a body, an extension, an attribute, one value
_REFERENCE = re.compile(r"(.*/)?bulkId:(.+)", re.DOTALL)
# A quote that is never closed goes to the end, so that both read a text in one go: no path is slow.
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*+"?|bulkId:[^\s\])("]+', re.DOTALL)  # quoted, or bare
_FILTER = re.compile(r'\[(?:[^"\]]|"(?:[^"\\]|\\.)*+"?)*+\]?', re.DOTALL)


def reference_names(resource_type: ResourceType) -> frozenset[str]:
    """Return the folded names under which a text is a reference, if it looks like one."""
    holders = (
        declared.attribute.name.lower()
        for declared in resource_type.declared.values()
        if "value" in declared.attribute.subs  # may come as the plain value
    )
    return frozenset({"value", "$ref", *holders})


def resolved(data: Any, names: frozenset[str], swap: Swap) -> Any:
    """Return the data of a POST or PUT with each reference swapped; `swap` may raise."""
    return _Rewriting(names, swap).value(data, "")


def resolved_patch(data: Any, names: frozenset[str], swap: Swap) -> Any:
    """Return the data of a PATCH with each reference swapped, those in filters of paths too."""
    if not isinstance(data, dict):
        return data
    rewriting = _Rewriting(names, swap)
    return {
        name: [rewriting.operation(item) for item in value]
        if name.lower() == "operations" and isinstance(value, list)
        else value
        for name, value in data.items()
    }


class _Rewriting:
    """Copies JSON, swapping the references in it."""

    def __init__(self, names: frozenset[str], swap: Swap, texts: int = MAX_TEXTS) -> None:
        self._names = names
        self._swap = swap
        self._texts = texts  # how many may still stand within each other

    def value(self, value: Any, name: str) -> Any:
        """Copy what stands under a name."""
        if isinstance(value, dict):
            return {key: self.value(item, _last(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, name) for item in value]
        return self._text(value, name) if isinstance(value, str) and MARK in value else value

    def operation(self, item: Any) -> Any:
        """Copy one operation of a PATCH: its value belongs to what its path names."""
        if not isinstance(item, dict):
            return item
        path = next((text for name, text in item.items() if name.lower() == "path"), None)
        name = _last(path) if isinstance(path, str) else ""
        return {key: self._part(key.lower(), part, name) for key, part in item.items()}

    def _part(self, key: str, part: Any, name: str) -> Any:
        if key == "path" and isinstance(part, str):
            return _LITERAL.sub(lambda literal: self._literal(literal[0]), part)
        return self.value(part, name) if key == "value" else part

    def _text(self, text: str, name: str) -> str:
        meant = said_by(text) if self._texts else None
        if meant is not None:
            return self._json_text(text, meant, name)
        found = _REFERENCE.fullmatch(text)
        if not found:
            return text
        before, bulk_id = found[1] or "", found[2]
        id_ = self._swap(bulk_id, name == "$ref" if before else name in self._names)
        return text if id_ is None else before + id_

    def _json_text(self, text: str, meant: Any, name: str) -> str:
        """Swap what JSON text says. It stays text: whether that is forgiven is no matter here."""
        if deeper_than(meant, MAX_DEPTH):
            return text  # to be refused
        found = _Rewriting(self._names, self._swap, self._texts - 1).value(meant, name)
        return text if found == meant else dumped(found)

    def _literal(self, literal: str) -> str:
        found = _REFERENCE.fullmatch(_unquoted(literal))
        if not found:
            return literal
        id_ = self._swap(found[2], not found[1])
        return literal if id_ is None else orjson.dumps((found[1] or "") + id_).decode()


def _last(path: str) -> str:
    """Return the folded name that a path or a key ends in: `value` of `urn:x:manager.value`."""
    return re.split(r"[.:]", _FILTER.sub("", path))[-1].lower()


def _unquoted(literal: str) -> str:
    """Return what a literal says; one that cannot be read says nothing."""
    if not literal.startswith('"'):
        return literal
    try:
        return str(orjson.loads(literal))
    except orjson.JSONDecodeError:
        return ""
