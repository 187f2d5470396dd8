"""Signed notes, their keys, and the text of tree heads."""

import base64
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.signing.note import MalformedNote, Note, Signature, SigningKey, TreeHead, VerifierKey

KEY = SigningKey("acme/00112233445566aa", bytes(range(32)))
HEAD = TreeHead("acme/00112233445566aa", 42, bytes(range(32)))

ROOT = base64.b64encode(HEAD.root).decode()

# The example note of C2SP signed-note, and the key that its publisher gives for it: another's work.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZ"
    "b6KE6RyyBwJnAM=\n"
)


def test_a_note_that_another_program_signed_is_verified() -> None:
    key = VerifierKey.parse(PUBLISHED_KEY)

    assert Note.parse(PUBLISHED_NOTE).signed_by(key)
    assert str(key) == PUBLISHED_KEY
    assert str(Note.parse(PUBLISHED_NOTE)) == PUBLISHED_NOTE


def test_a_head_is_three_lines_and_is_read_back() -> None:
    note = KEY.note(HEAD.text)

    root = base64.b64encode(HEAD.root).decode()
    assert note.text == f"acme/00112233445566aa\n42\n{root}\n"
    assert TreeHead.of(Note.parse(str(note))) == HEAD
    assert note.signed_by(KEY.verifier)


def test_keys_are_read_back_from_their_texts() -> None:
    assert VerifierKey.parse(str(KEY.verifier)) == KEY.verifier
    assert SigningKey.parse(KEY.private_text()) == KEY


def test_a_private_key_is_not_shown_by_accident() -> None:
    assert base64.b64encode(KEY.seed).decode() not in f"{KEY!r} {KEY}"


def test_a_signature_of_an_unknown_key_says_nothing() -> None:
    other = SigningKey(KEY.name, bytes(32))

    assert not other.note(HEAD.text).signed_by(KEY.verifier)


def test_a_wrong_signature_of_a_known_key_does_not_count() -> None:
    note = KEY.note(HEAD.text)
    forged = Note(note.text.replace("42", "43"), note.signatures)

    assert not forged.signed_by(KEY.verifier)


def test_a_cosignature_is_checked_with_the_cosigner_and_its_time() -> None:
    note = KEY.cosign(Note(HEAD.text, ()), 1_700_000_000)
    [own] = note.signatures
    later = Signature(own.name, own.raw[:4] + (1_700_000_001).to_bytes(8) + own.raw[12:])

    assert note.signed_by(KEY.cosigner)
    assert not note.signed_by(KEY.verifier)
    assert not Note(note.text, (later,)).signed_by(KEY.cosigner)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n",
        "a\n\n",
        "a\n\nb\n",
        "a\n\n— name\n",
        "a\n\n— name !!!!\n",
        "a\n\n— name AAAA\n",
        "a\x00\n\n— name AAAAAAAA\n",
        "a\n\n— name AAAAAAAA",
        "a\n\n— name AAAAAAA=\n\n",
    ],
)
def test_an_invalid_note_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        Note.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"name\n{ROOT}\n",
        f"name\n01\n{ROOT}\n",
        f"name\n-1\n{ROOT}\n",
        f"name\n+1\n{ROOT}\n",
        f"name\n 1\n{ROOT}\n",
        f"name\n\n{ROOT}\n",
        f"name\n\u0661\n{ROOT}\n",
        f"name\n{'9' * 20}\n{ROOT}\n",
        f"\n1\n{ROOT}\n",
        f"name\n1\n{ROOT}\n\nmore\n",
        "name\n1\n",
        "name\n1\nAAAA\n",
        "name\n1\nnot base64\n",
    ],
)
def test_an_invalid_tree_head_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        TreeHead.of(KEY.note(text))


@pytest.mark.parametrize("size", ["0", "1", "10", "9" * 19])
def test_a_tree_head_has_a_size_in_plain_digits(size: str) -> None:
    for more in ("", "an extension\n"):
        note = KEY.note(f"{HEAD.origin}\n{size}\n{ROOT}\n{more}")
        assert TreeHead.of(note) == TreeHead(HEAD.origin, int(size), HEAD.root)


@pytest.mark.parametrize(
    "text", ["", "a+b", "a+00000000+AAAA", str(KEY.verifier).replace("+A", "+B"), " + + "]
)
def test_an_invalid_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        VerifierKey.parse(text)


def test_an_invalid_signing_key_is_not_quoted() -> None:
    with pytest.raises(MalformedNote) as raised:
        SigningKey.parse("PRIVATE+KEY+secret")

    assert "secret" not in str(raised.value)


def key_text(id_: bytes, raw: bytes) -> str:
    return f"PRIVATE+KEY+{KEY.name}+{id_.hex()}+{base64.b64encode(raw).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        key_text(KEY.verifier.id, b"\x02" + KEY.seed),  # another algorithm
        key_text(bytes(4), b"\x01" + KEY.seed),  # another key's id
        key_text(KEY.verifier.id, b"\x01" + KEY.seed + KEY.verifier.public),
        key_text(KEY.verifier.id, b"\x01" + KEY.seed[1:]),
        KEY.private_text().removeprefix("PRIVATE+KEY+"),
        str(KEY.verifier),
    ],
)
def test_a_signing_key_with_any_part_wrong_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        SigningKey.parse(text)


@pytest.mark.parametrize(
    "key",
    [
        VerifierKey(KEY.name, KEY.verifier.public, b"\x02"),
        VerifierKey(KEY.name, KEY.verifier.public + b"\x00"),
        VerifierKey(KEY.name, KEY.verifier.public[1:]),
    ],
)
def test_a_verifier_key_of_another_kind_or_length_is_refused_though_its_id_is_right(key) -> None:
    with pytest.raises(MalformedNote, match="is not an Ed25519 verifier key"):
        VerifierKey.parse(str(key))


@given(st.text())
def test_any_text_is_a_note_or_refused(text: str) -> None:
    with suppress(MalformedNote):
        assert str(Note.parse(text)) == text


def test_a_key_of_small_order_signs_nothing() -> None:
    base = bytes.fromhex("58" + 31 * "66")
    fits_everything = base + (1).to_bytes(32, "little")
    neutral = (1).to_bytes(32, "little")

    Ed25519PublicKey.from_public_bytes(neutral).verify(fits_everything, b"any text")
    assert not VerifierKey("acme", neutral).verify(b"any text", fits_everything)
