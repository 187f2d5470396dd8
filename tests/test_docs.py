"""The documents name everything that exists, and nothing else."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from app import cli
from ledger.events import REVISIONS
from scim_api.auth.scopes import Scope
from scim_api.protocol.policy import OKTA, TOLERANCES
from scim_api.settings import described, load

ROOT = Path(__file__).parent.parent
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.json"))


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def test_the_readme_lists_every_command_in_the_sections_of_the_help() -> None:
    rows = re.findall(r"^\| (?:\*\*(.+?)\*\* \| |`([a-z-]+))", text_of("README.md"), re.MULTILINE)
    shown = [section or name for section, name in rows]

    sections = cli.sections
    expected = [[title, *(one.name for one in group)] for title, group in sections.items()]
    assert shown == [name for section in expected for name in section]
    assert {one.name for group in sections.values() for one in group} == cli.commands.keys()


@pytest.mark.parametrize("declared", described(load({}), {}), ids=lambda each: each["setting"])
def test_every_setting_is_documented_with_its_default(declared) -> None:
    name, default = declared["setting"], declared["default"]

    [row] = re.findall(rf"^\| `{name}` \|.*$", text_of("docs/operating.md"), re.MULTILINE)

    assert default == "None" or f"`{default}`" in row


@pytest.mark.parametrize("name", TOLERANCES)
def test_every_tolerance_is_documented_with_its_default(name: str) -> None:
    [row] = re.findall(rf"^\| `{name}` \|.*$", text_of("docs/tolerances.md"), re.MULTILINE)

    word = row.rsplit("|", 2)[1].strip()
    assert word.startswith("on" if name in OKTA else "off")


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_is_documented(scope: Scope) -> None:
    assert f"\n| `{scope}` |" in text_of("docs/operating.md")


@pytest.mark.parametrize("type_", sorted(REVISIONS))
def test_every_event_type_is_in_the_catalogue(type_: str) -> None:
    assert f"| `{type_}` |" in text_of("docs/events.md")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_catalogue_shows_every_revision_as_it_is_recorded(path: Path) -> None:
    payload = json.loads(path.read_text())["payload"]

    [shown] = re.findall(
        rf"^```json {path.stem}\n(.*?)^```$", text_of("docs/events.md"), re.MULTILINE | re.DOTALL
    )

    effects = {key: value for key, value in payload.items() if not key.startswith("request.")}
    assert json.loads(shown) == effects


def commands(group: click.Group, *names: str) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name, command in group.commands.items():
        found.append(((*names, name), command))
        if isinstance(command, click.Group):
            found += commands(command, *names, name)
    return found


@pytest.mark.parametrize(("names", "command"), commands(cli))
def test_every_command_has_examples_that_name_it(names: tuple[str, ...], command) -> None:
    examples = command.help.partition("Examples:")[2].split("\n")

    assert any(f"scim-ledger {' '.join(names)}" in line for line in examples)


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_between_documents_leads_to_a_file_and_a_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^):]*?)(?:#([^):]*))?\)", document.read_text())

    targets = [(document.parent / name if name else document, anchor) for name, anchor in links]
    missing = [str(target) for target, _ in targets if not target.exists()]
    assert missing == []
    lost = [a for target, a in targets if a and target.is_file() and a not in anchors_of(target)]
    assert lost == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(r"`((?:ledger|projections|scim_api|tests)/[\w/.-]+)`", document.read_text())

    candidates = {path: (ROOT / path, ROOT / f"{path}.py") for path in named}
    assert [path for path, at in candidates.items() if not any(map(Path.exists, at))] == []


def test_the_readme_is_short_and_its_lines_fit_a_screen() -> None:
    lines = text_of("README.md").splitlines()

    assert len(lines) < 170
    assert [line for line in lines if len(line) > 130] == []


def commands_shown_in(document: Path) -> list[list[str]]:
    """Return the words of every scim-ledger command in a document's code blocks."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^[ $]*\S*scim-ledger (.*)$", "\n".join(blocks), re.MULTILINE)
    return [shlex.split(re.split(r" [|>]", line)[0], comments=True) for line in lines]


def unknown_word(words: list[str]) -> str | None:
    """Return the first word of a command line that names no command or option."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        name, *words = words
        if name not in command.commands:
            return name
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {option for parameter in command.params for option in parameter.secondary_opts}
    return next((word for word in words if word.startswith("--") and word not in known), None)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_shown_in_a_document_exists_with_its_options(document: Path) -> None:
    shown = commands_shown_in(document)

    assert [words for words in shown if unknown_word(list(words))] == []


@pytest.mark.parametrize("room", ["ledger", "projections", "scim_api"])
def test_the_architecture_lists_the_layers_of_a_room_in_their_order(room: str) -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one.get("containers") == [room]]

    [row] = re.findall(rf"^\| `{room}/` \|.*$", text_of("docs/architecture.md"), re.MULTILINE)

    shown = [re.findall(r"`(\w+)`", part) for part in row.rsplit("|", 2)[1].split(" · ")]
    assert [sorted(names) for names in shown] == [sorted(one.split(" | ")) for one in layers]
