"""scim-ledger witness: which heads it accepts, cosigns and keeps, and which it refuses."""

import base64
import hashlib
import json
import shutil
import stat
import subprocess
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import clock
from ledger.http_client import fetch
from ledger.signing.note import Note, TreeHead, VerifierKey
from tests.ledger.authority import make_authority
from tests.scim_api.client import Site, user
from tests.scim_api.process import PROGRAM, environment, free_port, wait_until
from tests.scim_api.served import answering, served, tampering


class Watched:
    """A ledger, its operator, and a witness with a folder and a token of its own."""

    def __init__(self, shell, tmp_path):
        self.shell = shell
        self.folder = tmp_path / "elsewhere" / "witness"
        self.token = tmp_path / "token"
        self.token.write_text(shell("token", "create", "auditor", "--scope", "audit").out)

    def grow(self, events=1):
        """Record so many events, and sign a head over them."""
        for _ in range(events):
            self.shell("role", "add", clock.uuid7())
        return self.sign()

    def sign(self):
        return self.shell("tree-head", "create", "--json").json

    @contextmanager
    def serving(self, alter=None, **settings):
        site = Site(self.shell.data_dir, **settings)
        app = tampering(site.app, alter) if alter else site.app
        try:
            with served(app) as url:
                yield url
        finally:
            site.close()

    def look_at(self, url, *options, code=0, token=True):
        tokens = ("--token-file", str(self.token)) if token else ()
        state = ("--state", str(self.folder))
        return self.shell("witness", url, *tokens, *state, *options, code=code)

    def look(self, *options, code=0, alter=None):
        with self.serving(alter) as url:
            return self.look_at(url, *options, code=code)

    def kept(self):
        """Return the history: what each file of it holds."""
        return {p.name: p.read_text() for p in sorted(self.folder.glob("heads/*"))}

    def copy(self, name):
        """Copy all that the operator has, to be put back."""
        there = self.shell.data_dir.with_name(name)
        shutil.copytree(self.shell.data_dir, there)
        return there

    def put_back(self, there):
        shutil.rmtree(self.shell.data_dir)
        shutil.copytree(there, self.shell.data_dir)


@pytest.fixture
def watched(shell, tmp_path):
    found = Watched(shell, tmp_path)
    found.sign()
    return found


def cosigned_when(note, vkey):
    """Check a cosignature as the handbook says, from the specification alone; return its time."""
    name, key_id, encoded = vkey.strip().split("+", 2)
    raw = base64.b64decode(encoded)
    assert raw[0] == 4
    assert hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8] == key_id
    text, _, lines = note.partition("\n\n")
    [line] = [each for each in lines.splitlines() if each.startswith(f"\u2014 {name} ")]
    signature = base64.b64decode(line.rsplit(" ", 1)[1])
    assert signature[:4].hex() == key_id
    time = int.from_bytes(signature[4:12], "big")
    message = f"cosignature/v1\ntime {time}\n{text}\n".encode()
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[12:], message)
    return time


# What is accepted


def test_the_first_head_is_cosigned_and_the_key_trusted_on_first_use(watched):
    head = watched.sign()

    seen = watched.look("--name", "witness.example.com/1")

    assert "trust on first use" in seen.err
    note = Note.parse(seen.out)
    assert note.signed_by(VerifierKey.parse(head["verifier_key"]))
    assert TreeHead.of(note).size == head["size"]
    vkey = (watched.folder / "witness.vkey").read_text()
    assert vkey.startswith("witness.example.com/1+")
    assert abs(cosigned_when(seen.out, vkey) - clock.now().timestamp()) < 60
    assert watched.kept() == {f"0000000001-{head['size']}.tree-head": seen.out}


def test_the_witness_key_is_its_owners_alone(watched):
    watched.look()

    assert stat.S_IMODE((watched.folder / "witness.key").stat().st_mode) == 0o600


def test_a_head_that_continues_is_added_and_nothing_rewritten(watched):
    watched.look()
    before = watched.kept()
    head = watched.grow(3)

    seen = watched.look()

    assert "the first" in seen.err
    assert watched.kept() == {**before, f"0000000002-{head['size']}.tree-head": seen.out}


def test_a_head_seen_before_is_not_kept_twice(watched):
    first = watched.look()
    before = watched.kept()

    assert watched.look().out == first.out
    assert watched.kept() == before


def test_the_result_can_be_printed_as_json(watched):
    head = watched.sign()

    seen = [json.loads(watched.look("--json").out) for _ in range(2)]

    assert [each.pop("new") for each in seen] == [True, False]
    assert seen[0] == seen[1]
    assert {name: seen[0][name] for name in ("origin", "size", "root")} == {
        name: head[name] for name in ("origin", "size", "root")
    }


def test_a_key_that_is_given_is_not_trusted_on_first_use(watched):
    key = watched.sign()["verifier_key"]

    assert "first use" not in watched.look("--key", key).err
    watched.grow()
    assert "first use" not in watched.look("--key", key).err


def test_a_rotated_key_is_followed(watched):
    watched.look()
    watched.grow()
    for _ in range(2):
        watched.shell("key", "rotate")
    key = watched.grow()["verifier_key"]

    seen = watched.look()

    assert f"was replaced by {key}; both have signed that" in seen.err
    watched.grow()
    assert "replaced" not in watched.look().err


def test_a_key_given_at_first_that_was_rotated_before_is_followed(watched):
    given = watched.sign()["verifier_key"]
    watched.shell("key", "rotate")
    key = watched.grow()["verifier_key"]

    assert f"was replaced by {key}; both have signed that" in watched.look("--key", given).err


def test_a_public_log_is_witnessed_without_a_token(watched):
    key = watched.sign()["verifier_key"]
    id_ = key.partition("+")[0].partition("/")[2]
    with watched.serving(SCIM_TLOG_PUBLIC="on") as url:
        assert "give it with --key" in watched.look_at(url, token=False, code=1).err

        watched.look_at(f"{url}/ledger/v1/tlog/{id_}", "--key", key, token=False)
        watched.grow(2)
        watched.look_at(f"{url}/ledger/v1/tlog/{id_}/", token=False)

        watched.shell("key", "rotate")
        watched.grow(1)
        refused = watched.look_at(url, token=False, code=3)
        assert "give a token, or the new key with --key" in refused.err
        new = watched.sign()["verifier_key"]
        watched.look_at(url, "--key", new, token=False)
        watched.look_at(url, "--key", key, token=False)  # it was replaced, and stays so
    assert len(watched.kept()) == 3


# What is refused


def test_a_fork_is_refused_for_ever_with_both_heads_kept(watched):
    watched.look()
    there = watched.copy("fork")
    watched.grow(3)
    true = watched.look()
    honest = watched.copy("honest")
    watched.put_back(there)
    forged = watched.grow(5)
    before = watched.kept()

    refused = watched.look(code=3)

    assert refused.out == ""
    assert "do not begin with" in refused.err
    [evidence] = (watched.folder / "refused").iterdir()
    assert (evidence / "remembered.tree-head").read_text() == true.out
    assert (evidence / "presented.tree-head").read_text() == forged["note"]
    assert "do not begin with" in (evidence / "why.txt").read_text()
    watched.put_back(honest)
    watched.grow()
    assert "was refused before" in watched.look(code=3).err
    assert watched.kept() == before
    assert [*(watched.folder / "refused").iterdir()] == [evidence]


@pytest.mark.parametrize(("events", "words"), [(3, "two histories of"), (1, "and now shows")])
def test_another_history_of_the_same_size_or_a_shorter_one_is_refused(watched, events, words):
    watched.look()
    there = watched.copy("fork")
    watched.grow(3)
    watched.look()
    watched.put_back(there)
    watched.grow(events)

    assert words in watched.look(code=3).err
    assert "was refused before" in watched.look(code=3).err


def pinned(watched):
    """Return the newest key that the witness trusts, and why."""
    return json.loads(sorted((watched.folder / "keys").iterdir())[-1].read_text())


def test_a_restored_log_that_lost_events_is_accepted_only_when_the_auditor_says_so(watched):
    watched.look()
    there = watched.copy("backup")
    watched.grow(3)
    old = watched.look()
    head_file = watched.shell.data_dir / "default" / "signing.head"
    newest = head_file.read_text()
    watched.put_back(there)
    head_file.write_text(newest)
    made = watched.shell("recover", "--new-incarnation", "--json").json
    before = watched.kept()

    refused = watched.look(code=3)

    assert made["previous"] in refused.err
    assert made["origin"] in refused.err
    assert watched.kept() == before
    size = TreeHead.of(Note.parse(old.out)).size
    lost = f"of the {size} events that were witnessed, {size - 2} to {size} are lost"
    assert f"its key signed that, but {lost}" in refused.err
    accepted = watched.look("--accept-incarnation")
    assert f"WARNING: {lost}" in accepted.err
    assert pinned(watched)["how"] == "signed by its predecessor, when the ledger was restored"
    assert TreeHead.of(Note.parse(accepted.out)).origin == made["origin"]
    watched.grow()
    assert "as before" in watched.look().err
    assert len(watched.kept()) == len(before) + 2


def lose(watched, backup):
    """Put a backup in place of the ledger, which had a later head, and go on under a new origin."""
    head = watched.shell.data_dir / "default" / "signing.head"
    newest = head.read_text()
    watched.put_back(backup)
    head.write_text(newest)
    watched.shell("recover", "--new-incarnation")


def test_restores_that_kept_all_that_was_witnessed_are_followed_without_asking(watched):
    """Two in a row between two looks, with rotations before, between and after them."""
    watched.look()
    for number in range(2):
        watched.shell("key", "rotate")
        watched.sign()
        there = watched.copy(f"backup-{number}")
        watched.grow(3)
        lose(watched, there)
    watched.shell("key", "rotate")
    watched.grow()

    seen = watched.look()

    assert "its key signed that, and it kept all 2 events that were witnessed" in seen.err
    assert pinned(watched)["how"] == "signed by its predecessor, when the ledger was restored"
    assert [json.loads(each["header"])["type"] for each in pinned(watched)["events"]] == [
        "KeyRotated",
        "Restored",
        "KeyRotated",
        "Restored",
        "KeyRotated",
    ]
    watched.grow()
    assert "as before" in watched.look().err


def test_a_key_given_at_first_is_followed_over_a_restore(watched):
    key = watched.shell("key", "show").out.strip()
    there = watched.copy("backup")
    watched.grow(3)
    lose(watched, there)

    watched.look("--key", key)

    assert pinned(watched)["how"] == "signed by its predecessor, when the ledger was restored"


def test_a_key_of_a_lost_rotation_is_followed_when_a_backup_from_before_it_was_restored(
    watched, tmp_path
):
    watched.look()
    watched.shell("backup", str(tmp_path / "backup.db"))
    watched.shell("key", "rotate")
    watched.sign()
    size = TreeHead.of(Note.parse(watched.look().out)).size
    rotated = pinned(watched)
    watched.shell("restore", str(tmp_path / "backup.db"), "--yes")
    watched.sign()

    refused = watched.look(code=3)

    assert f"witnessed, {size} to {size} are lost" in refused.err
    assert pinned(watched) == rotated
    watched.look("--accept-incarnation")
    assert pinned(watched)["how"] == "signed by its predecessor, when the ledger was restored"
    watched.grow()
    watched.look()


def test_a_new_incarnation_that_kept_all_is_held_to_it(watched):
    watched.look()
    (watched.shell.data_dir / "default" / "signing.key").unlink()
    watched.shell("recover", "--new-incarnation")

    assert "it kept all" in watched.look("--accept-incarnation").err


def test_a_fork_of_a_log_that_is_over_does_not_stand_in_the_way_of_the_next(watched):
    watched.look()
    there = watched.copy("fork")
    watched.grow(3)
    watched.look()
    watched.put_back(there)
    watched.grow(5)
    watched.look(code=3)
    (watched.shell.data_dir / "default" / "signing.key").unlink()
    watched.shell("recover", "--new-incarnation")

    assert "was refused before" in watched.look(code=3).err
    accepted = watched.look("--accept-incarnation")
    assert "WARNING: its first" in accepted.err
    watched.grow()
    watched.look()


def forge(path, body):
    """Put another signature under each rotation."""
    if not path.endswith("/events"):
        return body
    page = json.loads(body)
    for event in page["events"]:
        if "signature_old" not in event["payload"]:
            continue
        raw = base64.b64decode(event["payload"]["signature_old"])
        forged = base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode()
        event["payload"]["signature_old"] = forged
    return json.dumps(page).encode()


def resalt(path, body):
    """Tell of rotations that are not those in the tree."""
    if not path.endswith("/events"):
        return body
    page = json.loads(body)
    for event in page["events"]:
        event["payload"]["request.client"] = "another"
    return json.dumps(page).encode()


@pytest.mark.parametrize("alter", [forge, resalt])
def test_a_rotation_that_is_not_signed_or_not_in_the_tree_is_refused(watched, alter):
    watched.look()
    watched.shell("key", "rotate")
    watched.grow()
    before = watched.kept()

    assert "puts another in its place" in watched.look(alter=alter, code=3).err
    assert watched.kept() == before
    watched.look()


def test_a_head_that_the_key_did_not_sign_is_refused_and_a_true_one_taken_later(watched):
    watched.look()
    head = watched.grow()

    def alter(path, body):
        more = f"\n{head['size']}\n".encode(), f"\n{head['size'] + 1}\n".encode()
        return body.replace(*more) if path.endswith("checkpoint") else body

    assert "not signed by" in watched.look(alter=alter, code=3).err
    watched.look()


def test_another_ledgers_key_is_refused_at_first(watched):
    watched.shell("init", "--ledger", "other")
    other = watched.shell("tree-head", "show", "--json", "--ledger", "other").json

    assert "the key given is of other/" in watched.look("--key", other["verifier_key"], code=3).err


# What is no answer


def test_an_unreachable_service_ends_with_a_sentence(watched, tmp_path):
    watched.look()
    before = watched.kept()
    wrong = tmp_path / "wrong"
    wrong.write_text(watched.shell("token", "create", "okta").out)
    with watched.serving() as url:
        assert "refused the token" in watched.look_at(url, token=False, code=1).err
        other = ("--token-file", str(wrong))
        assert "needs scope audit" in watched.look_at(url, *other, token=False, code=1).err
    assert "cannot be reached" in watched.look_at(f"http://127.0.0.1:{free_port()}", code=1).err
    for url in ("scim.example.com", "file:///etc/passwd", "http://", "http://u:p@x", "http://x:0"):
        assert "is not a URL" in watched.look_at(url, code=1).err
    assert watched.kept() == before


NO_HEADS = [
    (200, b"<html>", "is not a tree head"),
    (200, b"\xff\n\n\n", "is not a tree head"),
    (200, b"x" * (9 * 1024 * 1024), "more than 8,388,608 bytes"),
    (503, b"", "cannot use its ledger now"),
    (500, b"", "answered 500"),
]


def test_an_invalid_tree_head_ends_with_a_sentence(watched):
    for status, body, words in NO_HEADS:
        with served(answering(status, body)) as url:
            assert words in watched.look_at(url, code=1).err
    assert watched.kept() == {}


def test_a_redirection_is_not_followed_and_the_token_sent_nowhere_else(watched):
    elsewhere = answering(200, b"x")
    with served(elsewhere) as there, served(answering(302, Location=there)) as url:
        assert "that is not followed" in watched.look_at(url, code=1).err
    assert elsewhere.asked == []


GARBAGE = [b"{}", b"[" * 100_000, b'{"events":[1]}']


def test_garbage_after_a_genuine_head_is_no_fork(watched):
    def fooled(place):
        for body in GARBAGE:
            alter = lambda path, true: body if place in path else true  # noqa: B023, E731
            assert "127.0.0.1" in watched.look(alter=alter, code=1).err
        assert not (watched.folder / "refused").exists()

    fooled("/tree-head")
    watched.look()
    watched.grow(2)
    fooled("/tile/")
    watched.shell("key", "rotate")
    watched.grow()
    fooled("/events")
    watched.look()


def test_a_witness_has_one_name(watched):
    watched.look("--name", "a")
    with watched.serving() as url:
        assert "called a" in watched.look_at(url, "--name", "b", code=1).err
        assert "no spaces" in watched.look_at(url, "--name", "b c", code=2).err


# As a process


def test_a_witness_goes_on_by_itself_without_a_ledger_on_its_machine(start, tmp_path):
    server = start("watched")
    token = subprocess.run(
        [*PROGRAM, "token", "create", "auditor", "--scope", "audit"],
        env=environment(server.data_dir),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    machine = tmp_path / "machine"
    machine.mkdir()
    env = {k: v for k, v in environment("x", WITNESS_TOKEN=token).items() if k != "SCIM_DATA_DIR"}
    url = f"http://127.0.0.1:{server.port}"
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*PROGRAM, "witness", url, "--every", "1"],
            cwd=machine,
            env=env,
            stdout=subprocess.PIPE,
            stderr=said,
        )

    def kept():
        return [p.read_text() for p in sorted(machine.glob("witness/heads/[0-9]*"))]

    try:
        assert wait_until(lambda: len(kept()) == 1)
        server.stop()
        assert wait_until(lambda: "trying again" in (tmp_path / "said").read_text())
        server.start()
        assert server.ask("POST", "/Users", user()).status == 201
        subprocess.run(
            [*PROGRAM, "tree-head", "create"],
            env=environment(server.data_dir),
            capture_output=True,
            check=True,
        )
        assert wait_until(lambda: len(kept()) >= 2)
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=20)
    assert [p.name for p in machine.iterdir()] == ["witness"]
    assert printed.decode().startswith(kept()[0])
    assert all(text.count("\u2014 scim-ledger-witness/") == 1 for text in kept())


def test_a_private_authority_is_trusted_where_ssl_cert_file_names_it(
    watched, tmp_path, monkeypatch
):
    """The witness, and the service when it posts a head to SCIM_ANCHOR_URL, ask in one way."""
    authority, *tls = make_authority(tmp_path / "tls")
    site, anchor = Site(watched.shell.data_dir), answering(200)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with served(site.app, tls=tuple(map(str, tls))) as url:
        refused = watched.look_at(url, code=1).err
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        missing = watched.look_at(url, code=1).err
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        watched.look_at(url)
    site.close()
    with served(anchor, tls=tuple(map(str, tls))) as url:
        fetch(url, body=b"a head")

    assert "its certificate is not accepted: " in refused
    assert "SSL_CERT_FILE can name a file with a private authority" in refused
    assert f"SSL_CERT_FILE is {tmp_path / 'missing.pem'}, which cannot be read" in missing
    assert [(method, body) for method, body, _ in anchor.asked] == [("POST", b"a head")]
