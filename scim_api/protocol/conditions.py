"""If-Match and If-None-Match against a resource's version (RFC 7644 §3.14, RFC 9110 §13)."""

import re
from dataclasses import dataclass

from scim_api.protocol.errors import PreconditionFailed

_TAG = re.compile(r'(?:W/)?("[^"]*")|([^\s,"]+)')


@dataclass(frozen=True, slots=True)
class Conditions:
    """The tags in If-Match and If-None-Match; None where a request has no such header."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def check_match(self, etag: str) -> None:
        """Raise PreconditionFailed unless If-Match allows this version (RFC 9110 §13.1.1)."""
        if self.if_match is not None and not _names(self.if_match, etag):
            raise PreconditionFailed(
                "version.match",
                "The resource has changed since the version named in If-Match; its version is now"
                " {etag}. Read it again, then repeat the change.",
                etag=etag,
            )

    def check_change(self, etag: str) -> None:
        """Raise PreconditionFailed unless the request may change this version."""
        self.check_match(etag)
        if self.if_none_match is not None and _names(self.if_none_match, etag):
            raise PreconditionFailed(
                "version.none_match",
                "If-None-Match excludes the resource's current version, {etag}.",
                etag=etag,
            )

    def unchanged(self, etag: str) -> bool:
        """Return whether a read may be answered 304."""
        return self.if_none_match is not None and _names(self.if_none_match, etag)


def conditions(if_match: str | None, if_none_match: str | None) -> Conditions:
    """Read the two headers."""
    return Conditions(_tags(if_match), _tags(if_none_match))


def _tags(header: str | None) -> frozenset[str] | None:
    if header is None:
        return None
    return frozenset(
        quoted or f'"{bare}"' if bare != "*" else "*" for quoted, bare in _TAG.findall(header)
    )


def _names(tags: frozenset[str], etag: str) -> bool:
    """Return whether a tag is named; the comparison is weak, as all our tags are."""
    return "*" in tags or etag.removeprefix("W/") in tags
