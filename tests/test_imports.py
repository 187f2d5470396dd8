"""The import rules of pyproject.toml detect a violation of each layer and library."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("ledger", "projections", "scim_api")
BROKEN = {  # what is added, to which module, and the rule that it breaks
    "a room below imports one above": (
        "ledger/merkle.py",
        "projections.state",
        "scim_api -> projections -> ledger",
    ),
    "a part of the ledger imports one above": (
        "ledger/codec.py",
        "ledger.signing.note",
        "ledger: what happened",
    ),
    "current state imports the past": (
        "projections/current/reader.py",
        "projections.history.history",
        "projections: what",
    ),
    "the protocol imports the web": (
        "scim_api/protocol/conditions.py",
        "scim_api.web.messages",
        "scim_api: how",
    ),
    "two interfaces know each other": (
        "scim_api/routes/lists.py",
        "scim_api.audit.routes",
        "scim_api: how",
    ),
    "what recovery needs imports recovery": (
        "scim_api/wiring.py",
        "scim_api.recovery.restore",
        "scim_api: how",
    ),
    "the protocol imports Flask": ("scim_api/protocol/conditions.py", "flask", "Flask and"),
    "a projection imports marshmallow": ("projections/state.py", "marshmallow", "marshmallow"),
    "the application of a PATCH reads a value": (
        "scim_api/protocol/patch/apply.py",
        "scim_api.protocol.fields",
        "A PATCH is applied",
    ),
    "the service names the store": (
        "scim_api/service/service.py",
        "ledger.sqlite.ledger",
        "Only what opens",
    ),
    "the service opens a database": ("scim_api/logs.py", "sqlite3", "Database drivers"),
    "a room imports what puts all together": ("scim_api/wiring.py", "app", "Nothing imports app"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the product's code and its rules."""
    copy = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, copy / room, ignore=ignored)
    for file in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    return copy


def rules(tree: Path) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(program, cwd=tree, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", BROKEN)
def test_the_import_rules_find_that(case: str, tree: Path) -> None:
    name, imported, rule = BROKEN[case]
    file = tree / name
    code = file.read_text()

    file.write_text(f"{code}\n\nimport {imported}\n")
    found = rules(tree)
    file.write_text(code)

    assert found.returncode == 1
    broken = [line for line in found.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(rule) for line in broken)


def test_the_import_rules_are_kept(tree: Path) -> None:
    assert rules(tree).returncode == 0


SQL_HOMES = (
    *("ledger/sqlite/", "projections/current/", "projections/history/"),
    *("projections/runner.py", "projections/tables.py"),
    *("scim_api/side_file.py", "scim_api/request_log/store.py", "scim_api/tenants/usage.py"),
)


def test_sql_is_executed_only_by_the_store_the_projections_and_side_files() -> None:
    calls = re.compile(r"\.execute(many|script)?\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if calls.search(path.read_text())
    }

    assert sorted(path for path in found if not path.startswith(SQL_HOMES)) == []
