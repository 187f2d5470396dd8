"""An erased user is absent: from the current state, the past, and after a rebuild."""

import shutil
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import app
from ledger import erasure, events
from ledger.contract import Append
from ledger.erasure import Justification
from ledger.events import Event, Metadata
from projections import runner
from scim_api import wiring
from scim_api.service.members import leave_groups
from scim_api.tenants.tenants import Tenant
from tests.projections.worlds import POPULATED, STEPS, USERS, World

METADATA = Metadata("c1", "test", "t", {"client": "Okta SCIM Client 1.0.0", "id": "r1"})
ORDER = Justification("gdpr-17", "PRIV-42")
LIVES = st.lists(
    st.one_of(
        STEPS,
        STEPS,
        st.tuples(st.just("erase"), st.sampled_from(USERS), st.none()),
        st.tuples(st.just("follow"), st.none(), st.none()),
    ),
    max_size=20,
).map(lambda steps: [*POPULATED, *steps])


class Lives:
    """A ledger with all its projections, to which steps happen."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.world = World()
        self.erased: set[str] = set()

    def take(self, action: str, id_: Any, detail: Any) -> None:
        if action == "follow":
            self.tenant.history.catch_up()
        elif action == "erase":
            self.erase(id_)
        elif id_ not in self.erased:
            for stream, happened in self.world.take((action, id_, detail)):
                self.append(stream, happened)

    def append(self, stream: str, happened: list[Event]) -> None:
        version = len(self.tenant.ledger.read_stream(stream))
        self.tenant.ledger.append([Append(stream, version, happened)], METADATA)

    def erase(self, id_: str) -> None:
        stream = f"User-{id_}"
        if id_ in self.erased or not self.tenant.ledger.read_stream(stream):
            return
        resources = self.tenant.resources

        def leave(connection: Any) -> list[Append]:
            return list(leave_groups(resources, connection, id_).values())

        erasure.erase(self.tenant.ledger, stream, ORDER, METADATA, leave)
        self.erased.add(id_)
        self.world.present.pop(id_, None)
        for members in self.world.members.values():
            members.pop(id_, None)

    def faults(self) -> list[runner.Difference]:
        found = [
            each.check(lambda *_: None)
            for each in wiring.stored_projections(self.tenant.ledger.path)
        ]
        return [difference for difference in found if difference]

    def living_at(self, position: int) -> int:
        living: set[str] = set()
        for each in self.tenant.ledger.read_all(upto=position):
            if each.category == "User" and each.subject not in self.erased:
                (living.discard if each.type == events.DELETED else living.add)(each.subject)
        return len(living)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("erasing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder))
        app.console().create("acme").close()
    return folder / "acme"


MEMBER_LEFT = [*POPULATED, ("join", "g0", ["u0"]), ("leave", "g0", ["u0"]), ("erase", "u0", None)]
GROUP_GONE = [*POPULATED, ("join", "g0", ["u0"]), ("delete", "g0", None), ("erase", "u0", None)]
AFTERWARDS = [*POPULATED, ("erase", "u0", None), ("join", "g0", ["u0"]), ("leave", "g0", ["u0"])]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=LIVES)
@example(steps=[("name", "u0", ("Ada", {})), ("erase", "u0", None)])
@example(steps=MEMBER_LEFT)
@example(steps=GROUP_GONE)
@example(steps=AFTERWARDS)
@example(steps=[*POPULATED, ("delete", "u0", None), ("follow", None, None), ("erase", "u0", None)])
def test_the_erased_are_at_no_instant_and_rebuilds_agree(empty: Path, steps: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        shutil.copytree(empty, Path(folder) / "acme")
        with closing(wiring.open_tenant(Path(folder) / "acme" / "ledger.db")) as tenant:
            lives = Lives(tenant)
            for step in steps:
                lives.take(*step)
            tenant.history.catch_up()

            assert lives.faults() == []
            for position in range(1, tenant.ledger.last_position() + 1):
                readings = tenant.history.at(position)
                with tenant.history.caught_up() as connection:
                    assert readings.total(connection, "User") == lives.living_at(position)
                    for id_ in lives.erased:
                        assert readings.get(connection, "User", id_) is None
            with tenant.history.file.reading() as connection:
                ever = connection.execute("SELECT id FROM life").fetchall()
            assert not lives.erased & {id_ for (id_,) in ever}
