"""A regression is told from noise."""

import orjson
import pytest

from tests.bench import check
from tests.bench.figures import Figures

QUIET = [1.0, 1.01, 0.99, 1.0, 1.02]


def figures(ratio: float, ratios: list[float]) -> Figures:
    """Return what a run of one operation came to."""
    result = {"operation": "get", "title": "get by id", "users": 1000, "peer": False}
    return {
        **dict.fromkeys(("date", "commit", "cores", "python", "others"), ""),
        "results": [result | {"ratio": ratio, "ratios": ratios}],
    }


@pytest.fixture(autouse=True)
def recorded(tmp_path, monkeypatch):
    """Record three runs whose ratios lie between 1.00 and 1.04."""
    monkeypatch.setattr(check, "RECORDED", tmp_path / "recorded.json")
    check.record([figures(ratio, QUIET) for ratio in (1.0, 1.02, 1.04)])
    return tmp_path / "recorded.json"


def test_every_recorded_run_is_kept(recorded) -> None:
    assert orjson.loads(recorded.read_bytes())["ratios"] == {"get 1000": [1.0, 1.02, 1.04]}


def test_a_ratio_that_is_worse_twice_is_a_regression() -> None:
    _, regressions = check.check(lambda operations, times: figures(1.2, QUIET))

    assert regressions == [
        "get by id at 1,000 users: 1.20 times the bare application, 1.02 was recorded,"
        " 0.05 passes for noise"
    ]


def test_a_ratio_that_was_worse_only_once_is_noise() -> None:
    asked = []

    def measure(operations, times) -> Figures:
        asked.append(([each.name for each in operations], times))
        return figures(1.2 if times == 1 else 1.03, QUIET)

    _, regressions = check.check(measure)

    assert regressions == []
    assert asked[1] == (["get"], 2)


def test_a_machine_that_is_not_quiet_allows_for_more() -> None:
    noisy = [0.8, 1.5, 1.2, 1.0, 1.4]

    assert check.noise([1.0, 1.02, 1.04], noisy) > check.noise([1.0, 1.02, 1.04], QUIET)
    _, regressions = check.check(lambda operations, times: figures(1.2, noisy))
    assert regressions == []


def test_runs_that_differed_when_they_were_recorded_allow_for_more() -> None:
    assert check.noise([1.0, 1.3, 1.1], QUIET) == pytest.approx(0.3)
