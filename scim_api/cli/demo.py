"""demo: the last 90 days of a company, sent through the real API."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from typing import Any

import click
from flask import Flask

from ledger import clock
from scim_api.auth import credentials
from scim_api.cli.console import Console, command
from scim_api.cli.terminal import Failure, Progress, note, print_json, say
from scim_api.protocol.patch.message import PATCH_URN
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN, USER_URN
from scim_api.server.runtime import EXTENSION

DAYS = 90
STORY = "demo.csv"  # by working day; a person is known by number
COUNTED = {"join": "joiners", "move": "movers", "leave": "leavers", "return": "returned"}


Step = dict[str, str]  # a line of the story; of who leaves or returns only the number is given


def story() -> Iterator[list[Step]]:
    """Yield the steps of each working day."""
    with files("scim_api.cli").joinpath(STORY).open(encoding="utf-8") as file:
        days = {
            int(day): list(found) for day, found in groupby(csv.DictReader(file), itemgetter("day"))
        }
    yield from (days.get(day, []) for day in range(DAYS))


def user_of(step: Step) -> dict[str, Any]:
    """Return the user as Okta would send it."""
    number, given, family = int(step["number"]), step["givenName"], step["familyName"]
    name = f"{given}.{family}{number}@example.com".lower()
    return {
        "schemas": [USER_URN, ENTERPRISE_URN],
        "userName": name,
        "name": {"givenName": given, "familyName": family},
        "displayName": f"{given} {family}",
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "externalId": f"00udemo{number:013d}",
        "title": step["title"],
        "locale": step["locale"],
        "active": True,
        ENTERPRISE_URN: {
            "employeeNumber": str(1000 + number),
            "department": step["department"],
        },
    }


class Okta:
    """Sends to the application what Okta would send."""

    def __init__(self, app: Flask, base_path: str, token: str) -> None:
        self._client = app.test_client()
        self._base = base_path
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/scim+json",
            "Content-Type": "application/scim+json; charset=utf-8",
            "User-Agent": "Okta SCIM Client 1.0.0",
        }
        self._people: dict[str, dict[str, Any]] = {}  # by number: what was sent last
        self._ids: dict[str, str] = {}
        self._groups: dict[str, str] = {}  # the id of the group of each department
        self._member_of: dict[str, str] = {}

    def send(self, step: Step) -> None:
        """Provision one person, and push the groups that change."""
        number, action = step["number"], step["action"]
        if action in ("join", "move"):
            self._people[number] = user_of(step)
        if action == "join":
            self._ids[number] = self._call("POST", "/Users", self._people[number])["id"]
        elif action == "move":
            self._call("PUT", f"/Users/{self._ids[number]}", self._people[number])
        else:
            value = {"active": action == "return"}
            self._patch(f"/Users/{self._ids[number]}", {"op": "replace", "value": value})
        self._push_groups(number, active=action != "leave")

    def _push_groups(self, number: str, *, active: bool) -> None:
        user, id_ = self._people[number], self._ids[number]
        group = user[ENTERPRISE_URN]["department"] if active else None
        before = self._member_of.pop(number, None)
        if before and group != before:
            path = f'members[value eq "{id_}"]'
            self._patch(f"/Groups/{self._groups[before]}", {"op": "remove", "path": path})
        if group and group not in self._groups:
            body = {"schemas": [GROUP_URN], "displayName": group, "members": []}
            self._groups[group] = self._call("POST", "/Groups", body)["id"]
        if group and group != before:
            value = [{"value": id_, "display": user["userName"]}]
            operation = {"op": "add", "path": "members", "value": value}
            self._patch(f"/Groups/{self._groups[group]}", operation)
        if group:
            self._member_of[number] = group

    def _patch(self, path: str, operation: dict[str, Any]) -> None:
        self._call("PATCH", path, {"schemas": [PATCH_URN], "Operations": [operation]})

    def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.open(
            self._base + path, method=method, json=body, headers=self._headers
        )
        document: dict[str, Any] = answer.get_json(force=True)
        if answer.status_code >= 400:
            raise Failure(f"the service answered {answer.status_code}: {document.get('detail')}")
        return document


@command("demo", "", "--ledger training", ledger=False)
@click.option(
    "--ledger", default="demo", show_default=True, metavar="NAME", help="Name of the new ledger."
)
def demo(console: Console) -> None:
    """Make a ledger with 90 days of an invented company.

    Joiners, movers and leavers go through the real API, with the dates of the last 90 days. Other
    ledgers are not touched.
    """
    start = (clock.now() - timedelta(days=DAYS)).replace(hour=9, minute=0)
    with clock.pretending(start):
        tenant = console.create()
        expiry = credentials.usual_expiry()
        made = credentials.issue(tenant, console.metadata(), "demo", expires_at=expiry)
    app = console.web()
    counts = _replay(Okta(app, console.settings.base_path, made.token), start)
    app.extensions[EXTENSION].close()
    if console.as_json:
        print_json({"ledger": console.name, "token": made.token, **counts})
        return
    say(f"token of the demo ledger (shown this once): {made.token}")
    note(", ".join(f"{n} {action}" for action, n in counts.items()))
    note(f"look around: scim-ledger events list --ledger {console.name} --since 7d")


def _replay(okta: Okta, start: datetime) -> dict[str, int]:
    """Send the story, each step at its time; return how many joined, moved, left and returned."""
    days, counts = story(), Counter(dict.fromkeys(COUNTED.values(), 0))
    with Progress("days") as progress:
        for number in range(DAYS):
            day = start + timedelta(days=number, minutes=1)
            if number == 0 or day.weekday() < 5:
                for i, step in enumerate(next(days)):
                    with clock.pretending(day + timedelta(minutes=7 * i)):
                        okta.send(step)
                    counts[COUNTED[step["action"]]] += 1
            progress(number + 1, DAYS)
    return dict(counts)
