"""Keys are fetched from allowed hosts only, seldom, and kept for when the URL does not answer."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from ledger import clock
from scim_api.auth.oauth.key_sets import (
    MOST_BYTES,
    MOST_KEYS,
    OLDEST,
    PAUSE,
    REFRESH,
    KeySets,
    KeySetUnfit,
    KeysUnavailable,
    must_be_key_set,
    must_be_key_set_url,
    pasted,
    read_key_set,
)
from tests.scim_api.auth.oauth.key_set_url import KeySetUrl
from tests.scim_api.auth.oauth.signer import Signer, base64url, key_set

HERE = ("127.0.0.1",)
HOSTS = ("login.microsoftonline.com", "127.0.0.1", "localhost", "::1", "10.0.0.1")
FIRST, SECOND = Signer("first", "ES256"), Signer("second", "ES256")


def kids(keys: Any) -> list[str]:
    return [key.kid for key in keys]


# What a key set is


def test_only_keys_for_signatures_are_read() -> None:
    strong, p384 = Signer("rsa"), ECKey.generate_key("P-384").as_dict(private=False)
    weak = rsa_key(1024)
    odd: list[Any] = [
        FIRST.public(use="enc"),
        FIRST.public(key_ops=["sign"]),
        FIRST.public(key_ops=5),
        FIRST.public(kid=5),
        FIRST.public(kid="\x1b[2J"),
        FIRST.public(x="AA"),
        FIRST.public(crv="P-384"),
        FIRST.public(crv=["P-256"]),
        p384,
        weak,
        strong.public(n="*"),
        {"kty": "RSA"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]},
        {"kty": "AKP"},
        "x",
        None,
    ]

    found = read_key_set({"keys": [*odd, FIRST.public(x5c=5, key_ops=["verify"]), strong.public()]})

    assert kids(found) == ["first", "rsa"]


JSON = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=2)
MEMBERS = ("kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y", "d", "k")


@given(st.sampled_from((FIRST, Signer("rsa"), Signer("ed", "EdDSA"))), st.data())
def test_a_key_with_odd_members_is_read_or_left_out(signer: Signer, data: st.DataObject) -> None:
    odd = data.draw(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3))

    for key in read_key_set({"keys": [signer.public(**odd)]}):
        assert key.kid in (signer.kid, odd.get("kid"))


def rsa_key(bits: int) -> dict[str, str]:
    """Return the public part of a new RSA key, which may be too short for use."""
    modulus = rsa.generate_private_key(65_537, bits).public_key().public_numbers().n
    return {"kty": "RSA", "e": "AQAB", "n": base64url(modulus.to_bytes(bits // 8))}


NO_KEY_SETS: list[Any] = [None, [], {}, "x", {"keys": {}}, {"keys": [{}] * (MOST_KEYS + 1)}]


@pytest.mark.parametrize("document", NO_KEY_SETS, ids=range(len(NO_KEY_SETS)))
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(KeySetUnfit):
        read_key_set(document)


def test_a_pasted_key_set_is_recorded_without_what_is_not_read() -> None:
    recorded = must_be_key_set(
        {"keys": [FIRST.public(x5c=["x"], extra=1), {"kty": "AKP"}], "more": 1}
    )

    assert recorded == {"keys": [{k: v for k, v in FIRST.public().items() if k != "use"}]}
    assert kids(read_key_set(recorded)) == ["first"]


def test_a_pasted_key_set_is_read_once_for_all_requests() -> None:
    first, second = (pasted(must_be_key_set(key_set(FIRST))) for _ in range(2))

    assert first is second
    assert kids(pasted(must_be_key_set(key_set(SECOND)))) == ["second"]


def test_a_pasted_private_key_is_refused_and_not_repeated() -> None:
    private = FIRST.key.as_dict(private=True)
    for keys in ([private], [{"kty": "oct", "k": "c2VjcmV0"}], [FIRST.public(), private]):
        with pytest.raises(KeySetUnfit, match="private or a shared key") as raised:
            must_be_key_set({"keys": keys})
        assert str(private["d"]) not in str(raised.value)


def test_a_pasted_key_set_needs_a_key() -> None:
    with pytest.raises(KeySetUnfit, match="no key"):
        must_be_key_set({"keys": [{"kty": "AKP"}]})


# Where it may be fetched


@pytest.mark.parametrize(
    "url",
    [
        "https://login.microsoftonline.com/common/discovery/v2.0/keys?appid=1",
        "https://LOGIN.microsoftonline.com:443/keys",
        "http://127.0.0.1:8080/keys",
        "http://localhost/keys",
        "http://[::1]:8080/keys",
    ],
)
def test_an_allowed_host_may_be_asked(url: str) -> None:
    assert must_be_key_set_url(url, HOSTS) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://login.microsoftonline.com.example.com/keys",
        "https://login.microsoftonline.com./keys",
        "https://xlogin.microsoftonline.com/keys",
        "https://login.microsoftonline.com@example.com/keys",
        "https://example.com/login.microsoftonline.com",
        "https://example.com#login.microsoftonline.com",
        "https://example.com\\@login.microsoftonline.com/keys",
        "http://login.microsoftonline.com/keys",
        "http://10.0.0.1/keys",
        "https://127.0.0.2/keys",
        "https://2130706433/keys",
        "https://login.microsoftonline.com/keys#x",
        "https://login.microsoftonline.com/" + "x" * 1000,
        "ftp://login.microsoftonline.com/keys",
        "file:///etc/passwd",
        "login.microsoftonline.com/keys",
        "https://",
        "",
    ],
)
def test_no_other_host_is_asked(url: str) -> None:
    with pytest.raises(KeySetUnfit):
        must_be_key_set_url(url, HOSTS)


def test_a_host_that_is_no_longer_allowed_is_not_asked_nor_are_its_keys_used(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    key_set_url.document = key_set(FIRST)
    KeySets(HERE).find(tmp_path, key_set_url.url, "first")

    with pytest.raises(KeysUnavailable, match="SCIM_JWKS_HOSTS"):
        KeySets(()).find(tmp_path, key_set_url.url, "first")

    assert key_set_url.asked == 1


# How often


def test_a_known_key_is_not_asked_for(key_set_url: KeySetUrl, tmp_path: Path) -> None:
    key_set_url.document, sets = key_set(FIRST), KeySets(HERE)

    for _ in range(3):
        assert kids(sets.find(tmp_path, key_set_url.url, "first")) == ["first"]

    assert key_set_url.asked == 1


def test_a_new_key_is_fetched_at_once_and_then_not_for_half_a_minute(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    with freeze_time("2026-11-28") as frozen:
        key_set_url.document, sets = key_set(FIRST), KeySets(HERE)
        sets.find(tmp_path, key_set_url.url, "first")
        key_set_url.document = key_set(FIRST, SECOND)
        assert sets.find(tmp_path, key_set_url.url, "second") == ()
        assert KeySets(HERE).find(tmp_path, key_set_url.url, "second") == ()  # another process
        assert key_set_url.asked == 1
        frozen.tick(PAUSE)

        assert kids(sets.find(tmp_path, key_set_url.url, "second")) == ["second"]
        assert key_set_url.asked == 2


def test_the_keys_that_another_process_fetched_are_used(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    with freeze_time("2026-11-28") as frozen:
        one, other = KeySets(HERE), KeySets(HERE)
        key_set_url.document = key_set(FIRST)
        one.find(tmp_path, key_set_url.url, "first")
        other.find(tmp_path, key_set_url.url, "first")
        frozen.tick(PAUSE)
        key_set_url.document = key_set(SECOND)
        one.find(tmp_path, key_set_url.url, "second")

        assert kids(other.find(tmp_path, key_set_url.url, "second")) == ["second"]
        assert key_set_url.asked == 2


def test_one_request_waits_for_the_answer_and_no_other(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    key_set_url.document, sets = key_set(FIRST), KeySets(HERE)
    key_set_url.go_on.clear()
    found = list[Any]()
    waiting = threading.Thread(
        target=lambda: found.append(sets.find(tmp_path, key_set_url.url, "first"))
    )
    waiting.start()
    assert key_set_url.begun.wait(5)

    with pytest.raises(KeysUnavailable) as raised:
        sets.find(tmp_path, key_set_url.url, "first")
    key_set_url.go_on.set()
    waiting.join()

    assert raised.value.retry_after == 1
    assert kids(found[0]) == ["first"]
    assert key_set_url.asked == 1


def test_the_wait_is_bounded(key_set_url: KeySetUrl, tmp_path: Path) -> None:
    key_set_url.go_on.clear()

    with pytest.raises(KeysUnavailable, match="no answer in time"):
        KeySets(HERE, timeout=0.1).find(tmp_path, key_set_url.url, "first")


# What is kept


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (500, {}),
        (302, {}),
        (200, b"<html>"),
        (200, {"error": "x"}),
        (200, {"keys": [], "more": "x" * MOST_BYTES}),
    ],
    ids=["down", "redirect", "no JSON", "no key set", "too long"],
)
def test_the_last_keys_stay_in_use_while_the_url_answers_nothing_of_use(
    key_set_url: KeySetUrl, tmp_path: Path, status: int, document: Any
) -> None:
    with freeze_time("2026-11-28") as frozen:
        key_set_url.document = key_set(FIRST)
        key_set_url.headers = {"Location": key_set_url.url}
        KeySets(HERE).find(tmp_path, key_set_url.url, "first")
        key_set_url.status, key_set_url.document = status, document
        frozen.tick(timedelta(days=3))
        restarted = KeySets(HERE)

        assert kids(restarted.find(tmp_path, key_set_url.url, "first")) == ["first"]
        with pytest.raises(KeysUnavailable) as raised:
            restarted.find(tmp_path, key_set_url.url, "second")

    assert raised.value.retry_after == PAUSE
    assert key_set_url.asked == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"keys": []}', b'{"keys": [], "fetched_at": 5}']
)
def test_a_damaged_file_is_as_good_as_none(
    key_set_url: KeySetUrl, tmp_path: Path, content: bytes
) -> None:
    key_set_url.document = key_set(FIRST)
    KeySets(HERE).find(tmp_path, key_set_url.url, "first")
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    with freeze_time(clock.now() + timedelta(seconds=PAUSE)):
        found = KeySets(HERE).find(tmp_path, key_set_url.url, "first")

    assert kids(found) == ["first"]


def test_a_folder_that_cannot_be_written_stops_nothing(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    key_set_url.document = key_set(FIRST)

    found = KeySets(HERE).find(tmp_path / "missing", key_set_url.url, "first")

    assert kids(found) == ["first"]


def test_the_file_holds_public_keys_only(key_set_url: KeySetUrl, tmp_path: Path) -> None:
    private = {**FIRST.key.as_dict(private=True), "kid": "first"}
    key_set_url.document = {"keys": [private, {"kty": "oct", "k": "c2VjcmV0"}]}

    assert kids(KeySets(HERE).find(tmp_path, key_set_url.url, "first")) == ["first"]
    (file,) = tmp_path.iterdir()

    assert str(private["d"]) not in file.read_text()
    assert "c2VjcmV0" not in file.read_text()


# In the background


def test_keys_are_fetched_again_after_an_hour_and_nobody_waits(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    with freeze_time("2026-11-28") as frozen:
        key_set_url.document, sets = key_set(FIRST), KeySets(HERE)
        sets.find(tmp_path, key_set_url.url, "first")
        frozen.tick(REFRESH - 1)
        assert kids(sets.find(tmp_path, key_set_url.url, "first")) == ["first"]
        assert key_set_url.asked == 1

        key_set_url.document = key_set()
        key_set_url.go_on.clear()
        frozen.tick(1)
        for _ in range(2):
            assert kids(sets.find(tmp_path, key_set_url.url, "first")) == ["first"]
        key_set_url.go_on.set()
        wait_for_keys()

        assert sets.find(tmp_path, key_set_url.url, "first") == ()  # it was withdrawn
        assert KeySets(HERE).find(tmp_path, key_set_url.url, "first") == ()
    assert key_set_url.asked == 2


def test_keys_older_than_a_day_are_fetched_before_they_are_used(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    with freeze_time("2026-11-28") as frozen:
        key_set_url.document, sets = key_set(FIRST), KeySets(HERE)
        sets.find(tmp_path, key_set_url.url, "first")
        key_set_url.document = key_set(SECOND)
        frozen.tick(OLDEST)

        assert sets.find(tmp_path, key_set_url.url, "first") == ()


def test_keys_are_used_where_no_thread_is_to_be_had(
    key_set_url: KeySetUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_set_url.document, sets = key_set(FIRST), KeySets(HERE)
    with freeze_time("2026-11-28") as frozen:
        sets.find(tmp_path, key_set_url.url, "first")
        frozen.tick(REFRESH)

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert kids(sets.find(tmp_path, key_set_url.url, "first")) == ["first"]
        frozen.tick(PAUSE)
        assert kids(sets.find(tmp_path, key_set_url.url, "first")) == ["first"]
        wait_for_keys()

    assert key_set_url.asked == 2


def test_a_clock_that_was_put_back_does_not_keep_old_keys(
    key_set_url: KeySetUrl, tmp_path: Path
) -> None:
    key_set_url.document = key_set(FIRST)
    with freeze_time(clock.now() + timedelta(days=400)):
        KeySets(HERE).find(tmp_path, key_set_url.url, "first")
    key_set_url.document = key_set()

    assert KeySets(HERE).find(tmp_path, key_set_url.url, "first") == ()


def test_what_fails_is_logged_once_until_it_changes(
    key_set_url: KeySetUrl, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key_set_url.status, sets = 500, KeySets(HERE)
    with freeze_time("2026-11-28") as frozen:
        for status in (500, 500, 503):
            key_set_url.status = status
            with pytest.raises(KeysUnavailable):
                sets.find(tmp_path, key_set_url.url, "first")
            frozen.tick(PAUSE)

    assert [record.message for record in caplog.records] == ["keys not fetched"] * 2


def wait_for_keys() -> None:
    """Wait for the threads that ask."""
    for thread in threading.enumerate():
        if thread.name == "keys":
            thread.join(10)
