"""Whatever the order of backups, rotations, restores and recoveries: all agree afterwards.

verify, verify.py, doctor, the service and a witness look at a ledger after each way back.
"""

import gc
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from ledger import clock
from ledger.sqlite.connection import driver
from tests.ledger.export import notary
from tests.scim_api.client import Site
from tests.scim_api.served import served


class World:
    """A ledger, its operator with an anchor, an auditor with every key, and a witness."""

    def __init__(self, folder, *, anchored=True, watched=False):
        self.folder, self.watched = folder, watched
        self.data, self.anchor = folder / "data", folder / "anchor"
        self.place = self.data / "acme"
        self.anchor.mkdir(parents=True)
        self.environment = {"SCIM_DATA_DIR": str(self.data), "SCIM_TLOG_PUBLIC": "on"}
        if anchored:
            self.environment["SCIM_ANCHOR_DIR"] = str(self.anchor)
        self.backups, self.exports, self.log = [], 0, []
        self.run("init")
        self.keys = [self.run("key", "show").strip()]
        self.backup()

    def run(self, *words, code=0):
        gc.collect()  # what a command of this process left open
        patch = pytest.MonkeyPatch()
        with patch.context() as own:
            for name, value in self.environment.items():
                own.setenv(name, value)
            result = CliRunner().invoke(app.cli, [*words, "--ledger", "acme"])
        self.log.append((words, result.exit_code))
        assert result.exit_code == code, (self.log, result.output, result.exception)
        return result.stdout

    # What is done

    def grow(self):
        for _ in range(2):
            self.run("token", "create", clock.uuid7())
        self.sign()

    def unsigned(self):
        self.run("token", "create", clock.uuid7())

    def sign(self):
        self.run("tree-head", "create")
        site = Site(self.data, **self.environment)
        try:
            for tenant in site.runtime.tenants.opened():
                for anchor in tenant.anchors:
                    anchor.step()
        finally:
            site.close()

    def rotate(self):
        self.keys.append(json.loads(self.run("key", "rotate", "--json"))["verifier_key"])

    def backup(self):
        file = self.folder / f"backup-{len(self.backups)}.db"
        self.run("backup", str(file))
        self.backups.append(file)

    def upgrade(self):
        """Leave the projections as an earlier version would."""
        self.alter("DELETE FROM checkpoint")
        result = CliRunner().invoke(app.cli, ["migrate"], env=self.environment)
        assert result.exit_code == 0, result.output

    def alter(self, statement):
        gc.collect()
        connection = app.console

        connection = driver.connect(str(self.place / "ledger.db"), isolation_level=None)
        connection.execute(statement)
        connection.close()

    def restore(self, which=-1):
        file = self.backups[which % len(self.backups)]
        said = json.loads(self.run("restore", str(file), "--yes", "--json"))
        self.keys.append(said["verifier_key"])
        self.look()

    def lose(self, *left):
        gc.collect()
        for file in self.place.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
            elif file.name not in left:
                file.unlink()

    def by_hand(self, which=-1):
        gc.collect()
        for file in self.place.glob("ledger.db*"):
            file.unlink()
        shutil.copy(self.backups[which % len(self.backups)], self.place / "ledger.db")
        os.chmod(self.place / "ledger.db", 0o600)

    def recover(self):
        said = self.run("recover", "--new-incarnation", "--events-lost", "--json")
        self.keys.append(json.loads(said)["verifier_key"])
        self.look()

    def old_restore(self):
        self.by_hand(0)
        self.recover()

    def oldest(self):
        self.restore(0)

    def middle(self):
        self.restore(len(self.backups) // 2)

    def lost_machine(self):
        self.lose("signing.key", "signing.head")
        self.restore()

    def lost_all(self):
        self.lose()
        self.restore(0)

    def lost_head(self):
        self.lose("signing.key")
        self.restore(0)

    def went_on(self):
        """Go on under the old name with an old copy, as an older program allowed."""
        self.by_hand(0)
        self.lose("signing.key", "ledger.db")
        anchor = self.environment.pop("SCIM_ANCHOR_DIR", None)
        CliRunner().invoke(
            app.cli, ["recover", "--nothing-lost", "--ledger", "acme"], env=self.environment
        )
        if anchor:
            self.environment["SCIM_ANCHOR_DIR"] = anchor
        self.recover()

    # Who looks

    def look(self):
        self.run("verify")
        self.exports += 1
        export = self.folder / f"export-{self.exports}.jsonl"
        self.run("export", "--output", str(export))
        head = f"{export}.tree-head"
        keys = (word for key in self.keys for word in ("--key", key))
        found = notary.run(export, "--head", head, *keys)
        assert found.returncode == 0, (self.log, found.stdout)
        result = CliRunner().invoke(app.cli, ["doctor", "--json"], env=self.environment)
        checks = json.loads(result.stdout)
        wrong = [each for each in checks if each["check"].startswith("ledger") and not each["ok"]]
        wrong = [each for each in wrong if "anchor" not in each["check"]]
        assert not wrong, (self.log, wrong)
        self.grow()
        if self.watched:
            self.witness()

    def witness(self):
        site = Site(self.data, **self.environment)
        try:
            with served(site.app) as url:
                state = str(self.folder / "witness")
                words = [
                    "witness",
                    url,
                    "--state",
                    state,
                    "--accept-incarnation",
                    "--key",
                    self.keys[-1],
                ]
                result = CliRunner().invoke(app.cli, words)
                assert result.exit_code == 0, (self.log, result.output)
        finally:
            site.close()


ACTIONS = ("grow unsigned sign rotate backup upgrade oldest middle restore").split()
ACTIONS += ("recover old_restore lost_machine lost_all lost_head went_on").split()


@pytest.mark.parametrize(
    "walk",
    [
        "grow backup rotate grow oldest restore grow restore",
        pytest.param(
            "grow backup grow lost_machine backup rotate restore lost_all", marks=pytest.mark.slow
        ),
        pytest.param(
            "grow old_restore grow backup unsigned middle rotate went_on restore",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_after_every_way_back_all_agree(walk, tmp_path) -> None:
    world = World(tmp_path)
    for action in walk.split():
        getattr(world, action)()
    world.look()


def test_a_witness_goes_along_with_what_is_said_openly(tmp_path) -> None:
    world = World(tmp_path, watched=True)
    world.witness()
    for action in "grow backup grow restore rotate oldest recover".split():
        getattr(world, action)()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(ACTIONS), min_size=3, max_size=9), st.booleans())
def test_after_ways_in_any_order_all_agree(tmp_path, walk, anchored) -> None:
    world = World(tmp_path / clock.uuid7(), anchored=anchored)
    for action in walk:
        getattr(world, action)()
    world.look()


ARCHIVES = sorted((Path(__file__).parents[2] / "golden" / "ledgers").glob("*.tar.xz"))


@pytest.mark.parametrize(
    "archive",
    [ARCHIVES[0], *(pytest.param(path, marks=pytest.mark.slow) for path in ARCHIVES[1:])],
    ids=[path.name.partition(".")[0] for path in ARCHIVES],
)
def test_a_backup_from_before_an_upgrade_is_restored(archive, tmp_path) -> None:
    world = World(tmp_path)
    world.lose()
    with tarfile.open(archive) as stored:
        stored.extractall(world.data, filter="data")
    world.backup()
    failed = json.loads(world.run("restore", str(world.backups[-1]), "--yes", "--json"))
    assert failed["nothing_followed"]
    CliRunner().invoke(app.cli, ["migrate"], env=world.environment)
    world.keys = [world.run("key", "show").strip()]
    world.grow()

    world.restore()
