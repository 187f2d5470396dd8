"""What is lost when a backup replaces a ledger, as far as the replaced ledger shows it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.contract import Ledger, LedgerError
from ledger.erasure import HOLD
from ledger.events import (
    CLIENT,
    CLIENT_REGISTERED,
    CONNECT_CODE,
    CONSENT_GIVEN,
    CREDENTIAL_ISSUED,
    ERASED,
    GRANT,
    REUSE_DETECTED,
    TOKEN,
    Recorded,
)
from scim_api.auth.credentials import ENDINGS
from scim_api.tenants.tenants import Tenant

SHOWN = 20  # people and groups in words; JSON has MOST
MOST = 1000

CREDENTIALS = {TOKEN: "token", CLIENT: "client", GRANT: "consent to"}  # in words

_NAMES = {"User": "userName", "Group": "displayName"}
_BEGINNINGS = (CREDENTIAL_ISSUED, CLIENT_REGISTERED, CONSENT_GIVEN)
_ENDINGS = (*ENDINGS.values(), REUSE_DETECTED)


@dataclass(slots=True)
class Concerned:
    """A person or a group, and what happened to it after the backup: types of events, counted."""

    type: str
    id: str
    name: str | None = None
    events: Counter[str] = field(default_factory=Counter)

    def as_object(self) -> dict[str, Any]:
        return {"type": self.type, "id": self.id, "name": self.name, "events": dict(self.events)}

    def __str__(self) -> str:
        happened = ", ".join(
            kind if count == 1 else f"{kind} {count} times" for kind, count in self.events.items()
        )
        return f"{self.type} {self.name or '(name not known)'} ({self.id}): {happened}"


@dataclass(slots=True)
class Losses:
    """The events of a replaced ledger that the backup does not have.

    `trouble` says why not all could be read. What is to be repeated is in `of_credentials`, unless
    they are new, and in `holds_and_erasures`, in order. `ended` has the ids of credentials.
    """

    events: int = 0
    first: tuple[int, str] | None = None  # position and time
    last: tuple[int, str] | None = None
    concerned: dict[str, Concerned] = field(default_factory=dict)
    other: Counter[str] = field(default_factory=Counter)
    gone: dict[str, tuple[str, str]] = field(default_factory=dict)  # by id: kind, name
    ended: list[str] = field(default_factory=list)
    of_credentials: list[Recorded] = field(default_factory=list)
    holds_and_erasures: list[Recorded] = field(default_factory=list)
    trouble: str | None = None

    def add(self, recorded: Recorded) -> None:
        """Count an event that is lost."""
        self.events += 1
        self.last = recorded.position, recorded.at
        self.first = self.first or self.last
        if recorded.type in _BEGINNINGS:
            self.gone[recorded.subject] = recorded.category, str(recorded.effects.get("name"))
        elif recorded.category in (*CREDENTIALS, CONNECT_CODE):
            self.of_credentials.append(recorded)
            if recorded.type in _ENDINGS:
                self.ended.append(recorded.subject)
        if recorded.category == HOLD or recorded.type == ERASED:
            self.holds_and_erasures.append(recorded)
        if attribute := _NAMES.get(recorded.category):
            whom = self.concerned.setdefault(
                recorded.stream, Concerned(recorded.category, recorded.subject)
            )
            whom.events[recorded.type] += 1
            whom.name = recorded.effects.get(attribute) or whom.name
            if recorded.type == ERASED:
                whom.name = None
        else:
            self.other[recorded.type] += 1

    def name_by(self, draft: Tenant) -> None:
        """Name those whose name did not change after the backup."""
        with draft.ledger.reading() as connection:
            for each in list(self.concerned.values())[:MOST]:
                found = draft.resources.get(connection, each.type, each.id)
                if each.name is None and found and ERASED not in each.events:
                    each.name = found.attributes.get(_NAMES[each.type])


def losses(replaced: Ledger, common: int) -> Losses:
    """Read the events of a replaced ledger after those that it shares with the backup."""
    found = Losses()
    try:
        for recorded in replaced.read_all(common):
            found.add(recorded)
    except (LedgerError, ValueError, KeyError, TypeError, AttributeError) as error:
        after = found.last[0] if found.last else common
        found.trouble = f"not readable after position {after:,}: {error}"
    return found


def in_words(found: Losses, repeated: Mapping[str, int]) -> Iterator[str]:
    """Say what is lost; events of credentials that are repeated, counted by type, are not."""
    if found.first is None or found.last is None:
        return
    (first, since), (last, until) = found.first, found.last
    yield f"lost: {found.events:,} events, positions {first:,} to {last:,}, {since} to {until}"
    people = [each for each in found.concerned.values() if each.type == "User"]
    groups = len(found.concerned) - len(people)
    yield f"users concerned: {len(people):,}, groups: {groups:,}"
    for each in list(found.concerned.values())[:SHOWN]:
        yield f"  {each}"
    if len(found.concerned) > SHOWN:
        yield f"  and {len(found.concerned) - SHOWN:,} more; --json has {MOST:,}"
    for type_, count in found.other.items():
        if count > repeated.get(type_, 0):
            yield f"  {type_}: {count - repeated.get(type_, 0):,}"
    if repeated:
        types = ", ".join(f"{type_}: {count:,}" for type_, count in repeated.items())
        yield f"repeated: {sum(repeated.values()):,} of these, of credentials ({types})"
    for id_, (kind, name) in found.gone.items():
        what = f"{CREDENTIALS[kind]} {name} ({id_})"
        also = "; its consents in other ledgers end with it" if kind == CLIENT else ""
        yield f"{what} was made after the backup and is gone: make another{also}"
