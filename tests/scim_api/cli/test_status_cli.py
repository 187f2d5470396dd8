"""status: its rows have bounds, and every ledger is shown."""

import gc
import shutil
from datetime import timedelta

from freezegun import freeze_time

from ledger import clock


def test_status_shows_twenty_clients_and_how_many_more_there_are(shell, api):
    for number in range(23):
        api.get("/Users", headers={"User-Agent": f"client/{number}"})
    api.site.close()

    said = shell("status").out

    assert said.count("client/") == 20
    assert "and 3 more; --json has all that are kept" in said
    assert len(shell("status", "--json").json[0]["clients"]) == 23


def test_status_shows_every_ledger_and_what_is_wrong_with_some(shell, api, tmp_path):
    shell("backup", str(tmp_path / "copy.db"))
    api.create()
    api.site.close()
    shell("tree-head", "create")
    gc.collect()  # a command that ran in this process leaves its log, which the copy would get
    (shell.data_dir / "default" / "ledger.db").unlink()
    shutil.copy(tmp_path / "copy.db", shell.data_dir / "default" / "ledger.db")
    for name in ("away", "damaged", "sound"):
        shell("init", "--ledger", name)
    (shell.data_dir / "away" / "ledger.db").unlink()
    (shell.data_dir / "damaged" / "ledger.db").write_bytes(b"no ledger" * 1000)

    found = {each["ledger"]: each for each in shell("status", "--json", code=1).json}

    assert list(found) == ["away", "damaged", "default", "sound"]
    assert "there is no ledger at" in found["away"]["trouble"]
    assert "is not a ledger" in found["damaged"]["trouble"]
    assert "knows a tree head signed over 3" in found["default"]["trouble"]
    assert (found["default"]["events"], found["sound"]["events"]) == (2, 1)
    assert found["sound"]["trouble"] is None
    ended = shell("status", code=1)
    said = ended.out
    assert "3 of 4 ledgers were not in order:\n  away: there is no ledger at" in ended.err
    assert "in order: sound\n" in ended.err
    lines = [line.split() for line in said.splitlines() if line.startswith("ledger ")]
    assert lines == [["ledger", name] for name in found]


def test_status_shows_the_limits_and_from_where_a_credential_was_used(shell, api, monkeypatch):
    api.get("/Users", environ_overrides={"REMOTE_ADDR": "2001:db8::7"})
    api.site.issue(called="near", networks=["192.0.2.0/24", "2001:db8::/32"])
    api.site.close()

    [found] = shell("status", "--json").json
    monkeypatch.setenv("SCIM_REQUEST_RATE", "1200")
    lines = shell("status").out.splitlines()
    said = [line.split() for line in lines]

    assert (found["request_rate"], found["refusal_rate"]) == (0, 300)
    assert [each["address"] for each in found["clients"]] == ["2001:db8::7"]
    assert ["request_rate", "1,200", "a", "minute"] in said
    assert ["refusal_rate", "300", "a", "minute"] in said
    id_ = found["allowed_networks"][0]["id"]
    assert f"token near ({id_}) may be used from 192.0.2.0/24, 2001:db8::/32 only" in lines


def test_without_a_readable_usage_file_no_credential_counts_as_unused(shell, api):
    (shell.data_dir / "default" / "usage.db").write_bytes(b"nonsense" * 1000)

    with freeze_time(clock.now() + timedelta(days=100)):
        assert shell("status", "--json").json[0]["credentials_unused"] == []
