"""SCIM errors: one class per scimType. An error is a rule code, a template and arguments.

The code is what everything keys on, such as "value.required"; the part before the dot is the topic
by which the request log explains it. The detail is written for the admin who reads it verbatim in
the client's console. It never repeats a value that could be a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ledger.contract import LedgerBusy, LedgerUnavailable, SideFileUnavailable
from projections.history.history import HistoryBehind
from projections.query.effort import PATIENCE, TooCostly, TooManyCostly
from scim_api.protocol.quotations import meant_for, told, withheld

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

    The template is filled by str.format with the arguments; those that are Quoted are a client's.
    `okta` is a second template, a sentence that only Okta's admins see, after the first.
    """

    status: ClassVar[int] = 400
    scim_type: ClassVar[str | None] = None

    def __init__(
        self,
        code: str,
        template: str | None = None,
        /,
        *,
        okta: str = "",
        headers: Mapping[str, str] | None = None,
        attributes: tuple[str, ...] = (),
        **arguments: Any,
    ) -> None:
        self._marked = code if template is None else None  # the form of before: one marked sentence
        self.code = "" if template is None else code
        self.headers = headers or {}
        self.attributes = attributes
        self._template, self._okta, self._arguments = template or "", okta, arguments
        self.detail = self._text(okta=False, arguments=arguments)
        super().__init__(self.detail)

    def refusal(self, *, okta: bool = False) -> Refusal:
        """Return what it is answered with; `okta` says whether the client is Okta."""
        if self._marked is not None:
            sentence = meant_for(self._marked, okta=okta)
            detail, logged = told(sentence), withheld(sentence)
        else:
            withheld_ = {
                name: LEFT_OUT if isinstance(value, Quoted) else value
                for name, value in self._arguments.items()
            }
            detail = self._text(okta=okta, arguments=self._arguments)
            logged = self._text(okta=okta, arguments=withheld_)
        return Refusal(
            self.status, self.code, detail, logged, self.scim_type, self.headers, self.attributes
        )

    def _text(self, *, okta: bool, arguments: Mapping[str, Any]) -> str:
        if self._marked is not None:
            return told(self._marked)
        template = f"{self._template} {self._okta}" if okta and self._okta else self._template
        return template.format(**arguments)


def error_document(status: int, detail: str, scim_type: str | None = None) -> dict[str, Any]:
    """Return a SCIM error document; `status` becomes a string as RFC 7644 §3.12 has it."""
    document: dict[str, Any] = {"schemas": [ERROR_URN], "status": str(status), "detail": detail}
    if scim_type:
        document["scimType"] = scim_type
    return document


class InvalidFilter(ScimError):
    """The filter's syntax is wrong, or its attribute and operator do not go together."""

    scim_type = "invalidFilter"


class TooMany(ScimError):
    """The filter asks for more work than the service is willing to do."""

    scim_type = "tooMany"


class InvalidSyntax(ScimError):
    """The body is not JSON, or not of the shape the request asks for."""

    scim_type = "invalidSyntax"


class InvalidPath(ScimError):
    """A PATCH path is malformed or names no attribute."""

    scim_type = "invalidPath"


class UnknownPath(InvalidPath):
    """A PATCH path has the form of one, and names an attribute that no schema declares."""


class NoTarget(ScimError):
    """A PATCH path selects nothing that could be changed."""

    scim_type = "noTarget"


class InvalidValue(ScimError):
    """A required value is missing, or a value does not fit its attribute."""

    scim_type = "invalidValue"


class Mutability(ScimError):
    """The attribute cannot be changed as asked."""

    scim_type = "mutability"

    @classmethod
    def required(cls, path: str) -> "Mutability":
        """Return the error for unassigning what is required."""
        return cls(
            "mutability.required",
            "{path} is required: it can be replaced but not removed",
            path=path,
            attributes=(path,),
        )

    @classmethod
    def read_only(cls, path: str) -> "Mutability":
        """Return the error for a change of what only the service provider writes."""
        return cls("mutability.read_only", "{path} is read-only", path=path, attributes=(path,))

    @classmethod
    def immutable(cls, path: str) -> "Mutability":
        """Return the error for a change of what may be set only once."""
        return cls(
            "mutability.immutable",
            "{path} is immutable: once set, it cannot be changed or removed",
            path=path,
            attributes=(path,),
        )


class Uniqueness(ScimError):
    """A value that must be unique is taken."""

    status = 409
    scim_type = "uniqueness"


class InvalidCursor(ScimError):
    """The cursor is none of this service, or of another query (RFC 9865 §2.1)."""

    scim_type = "invalidCursor"


class InvalidCount(ScimError):
    """In a walk by cursor a count that is none, or not that of its first page (RFC 9865 §2.1)."""

    scim_type = "invalidCount"


class ExpiredCursor(ScimError):
    """The cursor is too old (RFC 9865 §2.1)."""

    scim_type = "expiredCursor"


class Conflict(ScimError):
    """The request does not go with the state of what it refers to."""

    status = 409


class Unauthorized(ScimError):
    status = 401


class Forbidden(ScimError):
    status = 403


class NotFound(ScimError):
    status = 404


class PreconditionFailed(ScimError):
    """If-Match names another version than the current one (RFC 7644 §3.14)."""

    status = 412


class BodyTooLarge(ScimError):
    status = 413


class UnsupportedMediaType(ScimError):
    status = 415


class TooManyRequests(ScimError):
    """The service is busy: the one status that Okta repeats (with Retry-After in seconds)."""

    status = 429


class NotServed(ScimError):
    """Part of SCIM that this service does not offer."""

    status = 501


class Unavailable(ScimError):
    """The ledger cannot be read or written now; nothing was changed."""

    status = 503


def answer_to(error: Exception) -> ScimError | None:
    """Return what an error from the rooms within means to the client; None for our own faults."""
    if isinstance(error, ScimError):
        return error
    meaning = next((means for kind, means in _MEANINGS if isinstance(error, kind)), None)
    return meaning(error) if meaning else None


# The first entry that an error is one of tells what it means.
_MEANINGS: tuple[tuple[type[Exception], Callable[[Any], ScimError]], ...] = (
    (
        LedgerBusy,
        lambda _: TooManyRequests(
            "busy.writing",
            "The service is busy writing and did nothing with this request. Repeat it shortly.",
            headers={"Retry-After": "2"},
        ),
    ),
    (
        TooCostly,
        lambda _: TooMany(
            "filter.costly",
            "The filter or sort took more than {seconds:.0f} s of processor time over all"
            " resources. Use fewer comparisons, or eq on userName, externalId, id or emails.value,"
            " which are indexed.",
            seconds=PATIENCE,
        ),
    ),
    (
        TooManyCostly,
        lambda _: TooManyRequests(
            "crowded.searches",
            "Other requests already search through all resources. Repeat this one when they are"
            " done, or use eq on userName, externalId, id or emails.value, which are indexed.",
            headers={"Retry-After": "5"},
        ),
    ),
    (
        HistoryBehind,
        lambda error: Unavailable(
            "unavailable.history",
            "The history of this ledger is being built: {reached:,} of {end:,} events"
            " so far. Ask for the past again shortly.",
            reached=error.reached,
            end=error.end,
            headers={"Retry-After": "5"},
        ),
    ),
    (
        SideFileUnavailable,
        lambda error: Unavailable(
            "unavailable.side_file",
            "The service cannot use a file next to its ledger ({reason}); nothing was changed."
            " Its operator finds out more with: scim-ledger doctor.",
            reason=error.reason,
        ),
    ),
    (
        LedgerUnavailable,
        lambda error: Unavailable(
            "unavailable.ledger",
            "The service cannot use its ledger ({reason}); nothing was changed."
            " Its operator finds out more with: scim-ledger doctor.",
            reason=error.reason,
        ),
    ),
)
