"""The benchmark runs, and everything that it writes can be read."""

import subprocess
import sys
from xml.etree import ElementTree

import orjson
import pytest

from tests.bench import page
from tests.bench.chart import svg
from tests.bench.server import ROOT


@pytest.mark.slow
def test_a_small_benchmark_gives_figures_a_page_and_a_picture(tmp_path, monkeypatch) -> None:
    command = [sys.executable, "-m", "tests.bench", "--sizes", "100,200", "--only", "get,same,put"]
    size = ["--rounds", "1", "--seconds", "0.1", "--json", str(tmp_path / "figures.json")]
    ran = subprocess.run([*command, *size], cwd=ROOT, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    found = orjson.loads((tmp_path / "figures.json").read_bytes())
    assert [(each["operation"], each["users"]) for each in found["results"]] == [
        (operation, users) for operation in ("get", "same", "put") for users in (100, 200)
    ]
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "PICTURE", tmp_path / "performance.svg")
    page.PAGE.write_text((ROOT / "docs" / "performance.md").read_text())
    page.write(found)
    assert f"| PUT that changes nothing | 1.6 | {found['results'][2]['ratio']:.2f} |" in (
        page.PAGE.read_text()
    )
    assert ElementTree.fromstring(svg(found)).get("width") == "1080"
