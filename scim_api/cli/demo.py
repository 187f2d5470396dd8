"""A believable company over 90 days of joiners, movers and leavers, through the real API."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import click
from flask import Flask

from ledger import clock
from ledger.events import Metadata
from scim_api.auth.credentials import issue
from scim_api.cli.terminal import HELP, Failure, Progress, emit, examples, json_option, pass_site
from scim_api.protocol.patch.message import PATCH_URN
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN, USER_URN
from scim_api.server.runtime import EXTENSION
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant

DAYS = 90
FOUNDERS = 40

_GIVEN = (
    "Ada Amara Anna Bruno Carla Chen Clara Daniel David Elena Emil Fatima Felix Grace Hana"
    " Hugo Ivan Jana Jonas Julia Kofi Lara Leo Lena Luis Maya Mei Milan Nadia Nina Noah"
    " Olga Omar Paul Petra Priya Rosa Sami Sara Simon Sofia Tara Theo Tom Uma Vera Victor"
    " Wanda Yara Yusuf"
).split()
_FAMILY = (
    "Abebe Adler Becker Bianchi Castro Cohen Costa Dubois Eriksen Fischer Garcia Haddad"
    " Hansen Ito Jansen Kaya Keller Kim Kovacs Larsen Lopez Maier Mensah Moreau Nguyen Novak"
    " Okafor Olsen Patel Peeters Popescu Rahman Ricci Rossi Sato Schmidt Silva Singh Sousa"
    " Stein Suzuki Tanaka Toth Varga Vogel Wagner Walsh Weber Wong Yilmaz Zhang Zimmer"
).split()
_TEAMS = {
    "Engineering": ("Engineer", "Senior Engineer", "Staff Engineer"),
    "Sales": ("Account Executive", "Senior Account Executive", "Sales Lead"),
    "Support": ("Support Agent", "Support Specialist", "Support Lead"),
    "Finance": ("Accountant", "Senior Accountant", "Controller"),
    "People": ("Recruiter", "People Partner", "People Lead"),
}
_LOCALES = ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "pt-BR")
_COUNTED = {"join": "joiners", "move": "movers", "leave": "leavers", "return": "returned"}


class Site(Protocol):
    """What the program gives this command."""

    @property
    def settings(self) -> Settings: ...
    def create(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...
    def web(self) -> Flask: ...


@dataclass
class Person:
    """An employee, as the company's own directory knows them."""

    number: int
    given: str
    family: str
    team: str
    level: int
    locale: str
    id: str = ""
    active: bool = True
    married_name: str = field(default="")

    @property
    def mail(self) -> str:
        family = self.married_name or self.family
        return f"{self.given}.{family}{self.number}@example.com".lower()

    def body(self) -> dict[str, Any]:
        """Return the user as Okta would send it."""
        family = self.married_name or self.family
        return {
            "schemas": [USER_URN, ENTERPRISE_URN],
            "userName": self.mail,
            "name": {"givenName": self.given, "familyName": family},
            "displayName": f"{self.given} {family}",
            "emails": [{"primary": True, "value": self.mail, "type": "work"}],
            "externalId": f"00udemo{self.number:013d}",
            "title": _TEAMS[self.team][self.level],
            "locale": self.locale,
            "active": self.active,
            ENTERPRISE_URN: {"employeeNumber": str(1000 + self.number), "department": self.team},
        }


@dataclass
class Company:
    """The company day by day; draws from one random generator, so every demo is alike."""

    draw: random.Random
    people: list[Person] = field(default_factory=list)

    def day(self, number: int) -> Iterator[tuple[str, Person]]:
        """Yield what happens on one working day: an action and whom it befalls."""
        for _ in range(FOUNDERS if number == 0 else self.draw.choice((0, 0, 1, 1, 2, 3))):
            yield "join", self._hire()
        here = [p for p in self.people if p.active and p.id]
        gone = [p for p in self.people if not p.active]
        if len(here) > 10 and self.draw.random() < 0.55:
            yield "move", self._move(self.draw.choice(here))
        if len(here) > 10 and self.draw.random() < 0.25:
            yield "leave", self._leave(self.draw.choice(here))
        if gone and self.draw.random() < 0.06:
            yield "return", self._rehire(self.draw.choice(gone))

    def _hire(self) -> Person:
        person = Person(
            number=len(self.people) + 1,
            given=self.draw.choice(_GIVEN),
            family=self.draw.choice(_FAMILY),
            team=self.draw.choice(list(_TEAMS)),
            level=self.draw.choice((0, 0, 0, 1, 1, 2)),
            locale=self.draw.choice(_LOCALES),
        )
        self.people.append(person)
        return person

    def _move(self, person: Person) -> Person:
        what = self.draw.random()
        if what < 0.5 and person.level < 2:
            person.level += 1
        elif what < 0.85:
            person.team = self.draw.choice([t for t in _TEAMS if t != person.team])
            person.level = min(person.level, 1)
        else:
            person.married_name = self.draw.choice([f for f in _FAMILY if f != person.family])
        return person

    def _leave(self, person: Person) -> Person:
        person.active = False
        return person

    def _rehire(self, person: Person) -> Person:
        person.active = True
        return person


class Okta:
    """Sends what Okta would send to the real application, at the time it would have."""

    def __init__(self, app: Flask, base_path: str, token: str) -> None:
        """`token` is of the ledger that the demonstration is written to."""
        self._client = app.test_client()
        self._base = base_path
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/scim+json",
            "Content-Type": "application/scim+json; charset=utf-8",
            "User-Agent": "Okta SCIM Client 1.0.0",
        }
        self._groups: dict[str, str] = {}  # team -> the id of its group
        self._pushed: dict[int, str] = {}  # employee number -> the team whose group they are in

    def send(self, action: str, person: Person) -> None:
        """Carry out one action, and push the groups that it changes."""
        self._provision(action, person)
        team, before = person.team if person.active else None, self._pushed.get(person.number)
        if team == before:
            return
        if before:
            path = f'members[value eq "{person.id}"]'
            self._push(before, {"op": "remove", "path": path})
            del self._pushed[person.number]
        if team:
            value = [{"value": person.id, "display": person.mail}]
            self._push(team, {"op": "add", "path": "members", "value": value})
            self._pushed[person.number] = team

    def _push(self, team: str, operation: dict[str, Any]) -> None:
        if team not in self._groups:
            group = {"schemas": [GROUP_URN], "displayName": team, "members": []}
            self._groups[team] = self._call("POST", "/Groups", group)["id"]
        patch = {"schemas": [PATCH_URN], "Operations": [operation]}
        self._call("PATCH", f"/Groups/{self._groups[team]}", patch)

    def _provision(self, action: str, person: Person) -> None:
        if action == "join":
            person.id = self._call("POST", "/Users", person.body())["id"]
        elif action == "move":
            self._call("PUT", f"/Users/{person.id}", person.body())
        else:
            value = {"active": person.active}
            body = {
                "schemas": [PATCH_URN],
                "Operations": [{"op": "replace", "value": value}],
            }
            self._call("PATCH", f"/Users/{person.id}", body)

    def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.open(
            self._base + path, method=method, json=body, headers=self._headers
        )
        document: dict[str, Any] = answer.get_json(force=True)
        if answer.status_code >= 400:
            raise Failure(f"the service answered {answer.status_code}: {document.get('detail')}")
        return document


@click.command("demo", context_settings=HELP)
@click.option(
    "--ledger", default="demo", show_default=True, metavar="NAME", help="Name of the new ledger."
)
@json_option
@pass_site
@examples("scim-ledger demo", "scim-ledger demo --ledger training")
def demo(site: Site, ledger: str, as_json: bool) -> None:
    """Make a ledger with the last 90 days of a believable company, to look around in.

    Joiners, movers and leavers go through the real API, dated as if they had come day by day. It
    is a ledger of its own; the others are not touched.
    """
    start = (clock.now() - timedelta(days=DAYS)).replace(hour=9, minute=0)
    with clock.pretending(start):
        tenant = site.create(ledger)
        token = issue(tenant, site.metadata("cli"), "demo").token
    company = Company(random.Random(42))
    app = site.web()
    counts = _live(Okta(app, site.settings.base_path, token), company, start)
    app.extensions[EXTENSION].close()
    summary = {"ledger": ledger, "token": token, **counts}
    if as_json:
        emit(summary)
        return
    click.echo(f"token of the demo ledger (shown this once): {token}")
    click.echo(", ".join(f"{n} {action}" for action, n in counts.items()), err=True)
    click.echo(f"look around: scim-ledger events list --ledger {ledger} --since 7d", err=True)


def _live(okta: Okta, company: Company, start: datetime) -> dict[str, int]:
    """Live through the days; return how many joined, moved, left and returned."""
    progress, counts = Progress("days"), dict.fromkeys(_COUNTED.values(), 0)
    for number in range(DAYS):
        day = start + timedelta(days=number, minutes=1)
        if number == 0 or day.weekday() < 5:
            for i, (action, person) in enumerate(company.day(number)):
                with clock.pretending(day + timedelta(minutes=7 * i)):
                    okta.send(action, person)
                counts[_COUNTED[action]] += 1
        progress(number + 1, DAYS)
    progress.end()
    return counts


COMMANDS: list[click.Command] = [demo]
