"""SCIM errors: one class per scimType, and the one table from inner errors to RFC answers.

`detail` is written for the admin who reads it verbatim in the client's console: what is said of
Okta goes to Okta alone (quotations.for_okta). It never repeats a value that could be a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ledger.contract import BesideUnavailable, LedgerBusy, LedgerUnavailable
from projections.history.history import HistoryBehind
from projections.query.effort import PATIENCE, TooCostly, TooManyCostly
from scim_api.protocol.quotations import meant_for, told, withheld

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a failure is answered with; `sentence` is the detail with what it quotes marked."""

    status: int
    sentence: str
    scim_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()  # names of those it is about, or of parameters

    @property
    def plain(self) -> str:
        """The detail without what clients wrote: it may be kept."""
        return withheld(self.sentence)

    def told_to(self, *, okta: bool) -> "Refusal":
        """Return the refusal as Okta, or another client, is to see it."""
        return replace(self, sentence=meant_for(self.sentence, okta=okta))

    def document(self) -> dict[str, Any]:
        """Return the error as a SCIM document."""
        return error_document(self.status, told(self.sentence), self.scim_type)


class ScimError(Exception):
    """A request refused, in the form of RFC 7644 §3.12.

    What a client wrote, or what is stored, stands in the sentence marked by quotations.quoted.
    """

    status: ClassVar[int] = 400
    scim_type: ClassVar[str | None] = None

    def __init__(
        self,
        sentence: str,
        *,
        headers: dict[str, str] | None = None,
        attributes: tuple[str, ...] = (),
    ) -> None:
        self.detail = told(sentence)
        super().__init__(self.detail)
        self.headers = headers or {}
        self._sentence = sentence
        self._attributes = attributes

    def refusal(self) -> Refusal:
        """Return what it is answered with."""
        return Refusal(self.status, self._sentence, self.scim_type, self.headers, self._attributes)


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
            "The service is busy writing and did nothing with this request. Repeat it shortly.",
            headers={"Retry-After": "2"},
        ),
    ),
    (
        TooCostly,
        lambda _: TooMany(
            f"The filter or sort took more than {PATIENCE:.0f} s of processor time over all"
            " resources. Use fewer comparisons, or eq on userName, externalId, id or emails.value,"
            " which are indexed."
        ),
    ),
    (
        TooManyCostly,
        lambda _: TooManyRequests(
            "Other requests search through all resources already. Repeat this one when they are"
            " done, or use eq on userName, externalId, id or emails.value, which are indexed.",
            headers={"Retry-After": "5"},
        ),
    ),
    (
        HistoryBehind,
        lambda error: Unavailable(
            f"The history of this ledger is being built: {error.reached:,} of {error.end:,} events"
            " so far. Ask for the past again shortly.",
            headers={"Retry-After": "5"},
        ),
    ),
    (
        BesideUnavailable,
        lambda error: Unavailable(
            f"The service cannot use a file beside its ledger ({error.reason}); nothing was"
            " changed. Its operator finds out more with: scim-ledger doctor."
        ),
    ),
    (
        LedgerUnavailable,
        lambda error: Unavailable(
            f"The service cannot use its ledger ({error.reason}); nothing was changed."
            " Its operator finds out more with: scim-ledger doctor."
        ),
    ),
)
