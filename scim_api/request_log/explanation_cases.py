"""What an explanation says, and which records of the request log it is for."""

from dataclasses import dataclass

import orjson

from scim_api.request_log.records import Row
from scim_api.settings import Settings

MAPPINGS = "Provisioning > To App > Attribute Mappings, and the app's profile in Profile Editor."
TASKS = "Dashboard > Tasks: the failed task, with our detail word for word."
CONNECTOR = "Provisioning > Integration: SCIM connector base URL (catalogue apps: Base URL)."
TOKEN = "Provisioning > Integration: Authentication Mode HTTP Header, Authorization."
PUSH = "Push Groups: the group in the list, and its menu."
NOT_OKTA = "None: Okta does not send this."
ANOTHER = "None: the client is not Okta."
PAGES = f"{NOT_OKTA} It pages by startIndex."

OUTSIDE = "outside"  # the place of an address under neither base
_LEDGER = "/ledger/v1/"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where SCIM is served: its path here, and its URL as Okta should have it."""

    path: str = "/scim/v2"
    url: str = "https://HOST/scim/v2"

    @classmethod
    def of(cls, settings: Settings) -> "Addresses":
        """Return those of some settings; where none says it, the host is left open."""
        return cls(settings.base_path, settings.base_url or f"https://HOST{settings.base_path}")

    def place(self, path: str) -> str:
        """Return an address without the SCIM base; one under the ledger's own base stays whole."""
        if f"{path}/".startswith(_LEDGER):
            return path
        return path.removeprefix(self.path) if f"{path}/".startswith(f"{self.path}/") else OUTSIDE


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a record means, where to look in Okta if the client is Okta, and what to do."""

    rule: str
    rfc: str
    okta: str
    next: str


@dataclass(frozen=True, slots=True)
class Case:
    """Which records an explanation is for; None and () fit any.

    A status of 200 is any that is 2xx. In `places` a segment * is any; `about` are
    attributes or members of the message: the refusal must name one of them.
    """

    status: int
    scim_type: str | None = None
    method: str | None = None
    resource_type: str | None = None
    with_id: bool | None = None
    bulk: bool | None = None
    places: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    def fits(self, row: Row, place: str) -> bool:
        """Return whether a record, of an address of that place, is one of these."""
        return (
            (200 if row.status < 400 else row.status, row.scim_type)
            == (self.status, self.scim_type)
            and self.method in (None, row.method)
            and self.resource_type in (None, row.resource_type)
            and self.with_id in (None, row.resource_id is not None)
            and self.bulk in (None, row.bulk)
            and (not self.places or any(_is_at(place, pattern) for pattern in self.places))
            and (not self.about or not set(self.about).isdisjoint(_named(row)))
        )


def _named(row: Row) -> list[str]:
    names: list[str] = orjson.loads(row.attributes or "[]")
    return names


def _is_at(place: str, pattern: str) -> bool:
    segments, wanted = place.split("/"), pattern.split("/")
    return len(segments) == len(wanted) and all(
        asked in ("*", segment) for segment, asked in zip(segments, wanted, strict=True)
    )


def means(case: Case, rule: str, rfc: str, okta: str, next: str) -> tuple[Case, Explanation]:
    """Return an entry of the table."""
    return case, Explanation(rule, rfc, okta, next)
