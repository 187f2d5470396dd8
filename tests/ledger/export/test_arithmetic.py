"""The verifier's own arithmetic agrees with independent programs."""

import hashlib
import itertools
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import commitment
from ledger.merkle import cover, inclusion_proof, tree_hash
from tests.ledger.export.arithmetic import program
from tests.ledger.export.notary import naive_root

# RFC 8032 §7.1: secret key, public key, message, signature
VECTORS = {
    "TEST 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "TEST 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "TEST SHA(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19


def oracle(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "little") ^ 1 << bit % (8 * len(data))).to_bytes(
        len(data), "little"
    )


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_rfc_8032_verify(name: str) -> None:
    secret, public, message, signature = map(bytes.fromhex, VECTORS[name])

    assert Ed25519PrivateKey.from_private_bytes(secret).sign(message) == signature
    assert program.signed(public, message, signature)
    assert not program.signed(public, message + b"x", signature)


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 511))
def test_signatures_are_judged_as_by_another_program(seed: bytes, message: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)

    assert program.signed(public, message, signature)
    for case in (
        (public, message, flipped(signature, bit)),
        (flipped(public, bit), message, signature),
        (public, message + b"\x00", signature),
    ):
        assert program.signed(*case) == oracle(*case) == False  # noqa: E712


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_a_signature_has_one_form(seed: bytes, message: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    other = int.from_bytes(signature[32:], "little") + ORDER

    assert not program.signed(public, message, signature[:32] + other.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33, 63, 65])
def test_keys_and_signatures_of_another_size_are_refused(size: int) -> None:
    _, public, message, signature = map(bytes.fromhex, VECTORS["TEST 2"])

    assert not program.signed(public, message, (signature * 2)[:size])
    assert not program.signed((public * 3)[:size], message, signature)


@given(st.binary(min_size=32, max_size=32))
def test_points_are_read_as_by_another_program(data: bytes) -> None:
    y = int.from_bytes(data, "little") % 2**255
    found = program.point(data)

    x2 = (y * y - 1) * pow(-121665 * pow(121666, -1, PRIME) * y * y + 1, -1, PRIME) % PRIME
    on_the_curve = x2 == 0 or pow(x2, (PRIME - 1) // 2, PRIME) == 1
    assert (found is not None) == (on_the_curve and y < PRIME and (x2 != 0 or data[31] < 128))
    assert found is None or (found[1] == y and found[0] * found[0] % PRIME == x2)


@pytest.mark.parametrize("y", [PRIME, PRIME + 1, 2**255 - 1, 2**255 + 1, 2])
def test_a_point_off_the_curve_or_in_another_form_is_refused(y: int) -> None:
    assert program.point(y.to_bytes(32, "little")) is None


SMALL = [0, 1, PRIME - 1, 2**255, 2**255 + PRIME - 1]
SMALL.append(int("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7", 16))


@pytest.mark.parametrize("y", SMALL)
def test_a_key_that_would_fit_any_message_is_refused(y: int) -> None:
    public = y.to_bytes(32, "little")
    identity = (1).to_bytes(32, "little")

    assert not any(program.signed(public, bytes([n]), identity + bytes(32)) for n in range(16))


def test_a_signature_costs_two_multiplications_of_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    _, public, message, signature = map(bytes.fromhex, VECTORS["TEST 3"])
    add, added = program.add, []
    monkeypatch.setattr(program, "add", lambda p, q: added.append(1) or add(p, q))

    assert program.signed(public, message, signature)

    assert len(added) <= 2 * 2 * 256 + 2  # a doubling and an addition for each bit


def root_of(leaves: list[bytes]) -> bytes:
    tree: list[Any] = []
    for leaf in leaves:
        program.push(tree, leaf)
    root: bytes = program.root(tree)
    return root


def leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(bytes([n % 251, n // 251])).digest() for n in range(count)]


@pytest.mark.parametrize("size", [*range(40), 255, 256, 257, 500])
def test_a_tree_has_the_root_that_its_definition_gives(size: int) -> None:
    assert root_of(leaves(size)) == naive_root(leaves(size)) == tree_hash(leaves(size))


def parts(whole: list[bytes], begin: int, end: int) -> list[str]:
    """Return the roots of the full parts that the ledger would give."""
    spans = [(number << height, 1 << height) for height, number in cover(begin, end)]
    return [naive_root(whole[start : start + count]).hex() for start, count in spans]


def test_a_part_and_its_neighbour_hashes_give_the_root() -> None:
    for size in range(1, 24):
        whole = leaves(size)
        for first, last in itertools.combinations_with_replacement(range(1, size + 1), 2):
            tree: list[Any] = []
            program.push_parts(tree, 0, first - 1, parts(whole, 0, first - 1))
            for leaf in whole[first - 1 : last]:
                program.push(tree, leaf)
            program.push_parts(tree, last, size, parts(whole, last, size))
            assert program.root(tree) == naive_root(whole)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcXYZ:.é"[:8], max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
PAYLOADS = st.dictionaries(st.text("abcXYZ:.-", min_size=1, max_size=8), VALUES, max_size=7)


@given(PAYLOADS, st.binary(min_size=32, max_size=32))
def test_a_payload_has_the_commitment_that_the_ledger_gives_it(payload: Any, salt: bytes) -> None:
    line = {"header": "", "payload": json.loads(json.dumps(payload)), "salt": salt.hex()}

    found, hashes = program.payload_of(line)

    assert found == payload
    assert root_of(hashes) == commitment(payload, salt)


def test_an_inclusion_proof_has_exactly_the_hashes_that_the_tree_needs() -> None:
    for size in (1, 2, 3, 7, 8, 9, 33):
        leaves = [bytes([n]) * 32 for n in range(size)]
        nodes = {
            (h, n): tree_hash(leaves[n << h : n + 1 << h]) for h in range(6) for n in range(33)
        }
        for index, leaf in enumerate(leaves):
            proof = inclusion_proof(index, size, lambda *at, nodes=nodes: nodes[at])
            assert program.root_over(leaf, index, size, proof) == naive_root(leaves)
            for wrong in (
                [*proof, bytes(32)],
                [bytes(32), *proof],
                *([proof[1:]] if proof else []),
            ):
                with pytest.raises(ValueError, match="than the tree needs"):
                    program.root_over(leaf, index, size, wrong)
