"""status: its rows have bounds, and every ledger is shown."""

import gc
import shutil


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
