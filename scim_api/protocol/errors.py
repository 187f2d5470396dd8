"""SCIM errors: one class per scimType. An error is a rule code, a template and arguments.

The code is what everything keys on, such as "value.required"; the part before the dot is the topic
by which the request log explains it. The detail is written for the admin who reads it verbatim in
the client's console. It never repeats a value that could be a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ledger.contract import LedgerBusy, LedgerUnavailable, SideFileUnavailable
from projections.history.history import HistoryBehind
from projections.query.effort import PATIENCE, TooCostly, TooManyCostly

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"
LEFT_OUT = "…"


class Quoted(str):
    """A text that a client wrote, or that is stored, as an argument of an error.

    The answer shows it, shortened and printable. The request log keeps … instead of it.
    """

    __slots__ = ()

    def __new__(cls, text: str, most: int = 80) -> "Quoted":
        half = most // 2  # what is wrong often stands at the end
        short = text if len(text) <= most else f"{text[:half]}...{text[-half:]}"
        return super().__new__(cls, "".join(c if c.isprintable() else "?" for c in short))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a failed request, and `logged`: its detail as the request log keeps it."""

    status: int
    code: str
    detail: str
    logged: str
    scim_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()  # names of attributes or parameters that it is about

    def document(self) -> dict[str, Any]:
        """Return the error as a SCIM document."""
        return error_document(self.status, self.detail, self.scim_type)


class ScimError(Exception):
    """A refused request, answered in the form of RFC 7644 §3.12.

    `template` is filled by str.format with the arguments; those that are Quoted are a client's.
    `okta` is a second template, for a sentence that only Okta's admins see after the first.
    """

    status: ClassVar[int] = 400
    scim_type: ClassVar[str | None] = None

    def __init__(
        self,
        code: str,
        template: str,
        /,
        *,
        okta: str = "",
        headers: Mapping[str, str] | None = None,
        attributes: tuple[str, ...] = (),
        **arguments: Any,
    ) -> None:
        self.code = code
        self.detail = template.format(**arguments)
        self._for_okta = f"{template} {okta}" if okta else template
        self._template = template
        self._arguments = arguments
        self._headers = headers or {}
        self._attributes = attributes
        super().__init__(self.detail)

    def refusal(self, *, okta: bool = False) -> Refusal:
        """Return the answer to Okta, or to another client."""
        template = self._for_okta if okta else self._template
        given = self._arguments
        ours = {
            name: LEFT_OUT if isinstance(each, Quoted) else each for name, each in given.items()
        }
        detail, logged = template.format(**given), template.format(**ours)
        return Refusal(
            self.status, self.code, detail, logged, self.scim_type, self._headers, self._attributes
        )


def error_document(status: int, detail: str, scim_type: str | None = None) -> dict[str, Any]:
    """Return a SCIM error document; `status` becomes a string as RFC 7644 §3.12 has it."""
    document: dict[str, Any] = {"schemas": [ERROR_URN], "status": str(status), "detail": detail}
    if scim_type:
        document["scimType"] = scim_type
    return document


# RFC 7644 §3.12, table 9


class InvalidFilter(ScimError):
    """The filter's syntax is wrong, or its attribute and operator do not go together."""

    scim_type = "invalidFilter"


class TooMany(ScimError):
    """The filter needs more work than the service is willing to do."""

    scim_type = "tooMany"


class InvalidSyntax(ScimError):
    """The body is not JSON, or does not have the shape that the request needs."""

    scim_type = "invalidSyntax"


class InvalidPath(ScimError):
    """A PATCH path is malformed or names no attribute."""

    scim_type = "invalidPath"


class UnknownPath(InvalidPath):
    """A PATCH path is well-formed and names an attribute that no schema declares."""


class NoTarget(ScimError):
    """A PATCH path selects nothing that could be changed."""

    scim_type = "noTarget"


class InvalidValue(ScimError):
    """A required value is missing, or a value does not fit its attribute."""

    scim_type = "invalidValue"


class Mutability(ScimError):
    """The attribute cannot be changed in this way."""

    scim_type = "mutability"

    @classmethod
    def required(cls, path: str) -> "Mutability":
        template = "{path} is required: it can be replaced but not removed"
        return cls("mutability.required", template, path=path, attributes=(path,))

    @classmethod
    def read_only(cls, path: str) -> "Mutability":
        return cls("mutability.read_only", "{path} is read-only", path=path, attributes=(path,))

    @classmethod
    def immutable(cls, path: str) -> "Mutability":
        template = "{path} is immutable: once set, it cannot be changed or removed"
        return cls("mutability.immutable", template, path=path, attributes=(path,))


class Uniqueness(ScimError):
    """A value that must be unique is taken."""

    status = 409
    scim_type = "uniqueness"


# RFC 9865 §2.1


class InvalidCursor(ScimError):
    scim_type = "invalidCursor"


class InvalidCount(ScimError):
    scim_type = "invalidCount"


class ExpiredCursor(ScimError):
    scim_type = "expiredCursor"


# Errors without a scimType


class Conflict(ScimError):
    status = 409


class Unauthorized(ScimError):
    status = 401


class Forbidden(ScimError):
    status = 403


class NotFound(ScimError):
    status = 404


class PreconditionFailed(ScimError):
    status = 412


class BodyTooLarge(ScimError):
    status = 413


class UnsupportedMediaType(ScimError):
    status = 415


class TooManyRequests(ScimError):
    """The service is busy: the one status that Okta repeats (with Retry-After in seconds)."""

    status = 429


class NotServed(ScimError):
    status = 501


class Unavailable(ScimError):
    status = 503


def answer_to(error: Exception) -> ScimError | None:
    """Return the error that a client sees for one from below; None for a fault of this service."""
    match error:
        case ScimError():
            return error
        case LedgerBusy():
            return TooManyRequests(
                "busy.writing",
                "The service is busy writing and did nothing with this request. Repeat it shortly.",
                headers={"Retry-After": "2"},
            )
        case TooCostly():
            return TooMany(
                "filter.costly",
                "The filter or sort took more than {seconds:.0f} s of processor time over all"
                " resources. Use fewer comparisons, or eq on userName, externalId, id or"
                " emails.value, which are indexed.",
                seconds=PATIENCE,
            )
        case TooManyCostly():
            return TooManyRequests(
                "crowded.searches",
                "Other requests already search through all resources. Repeat this one when they are"
                " done, or use eq on userName, externalId, id or emails.value, which are indexed.",
                headers={"Retry-After": "5"},
            )
        case HistoryBehind():
            return Unavailable(
                "unavailable.history",
                "The history of this ledger is being built: {reached:,} of {end:,} events so far."
                " Ask for the past again shortly.",
                reached=error.reached,
                end=error.end,
                headers={"Retry-After": "5"},
            )
        case LedgerUnavailable():
            return Unavailable(
                "unavailable.file",
                "The service cannot use its {file} ({reason}); nothing was changed."
                " Its operator finds out more with: scim-ledger doctor.",
                file=error.file if isinstance(error, SideFileUnavailable) else "ledger",
                reason=error.reason,
            )
    return None
