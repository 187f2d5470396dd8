#!/usr/bin/env python3
"""Check an export of a scim-ledger against signed tree heads, with nothing but Python 3.9 or later.

  python3 verify.py EXPORT.jsonl --head HEAD --key KEY [--head OLDER-HEAD ...]
  python3 verify.py --proof FILE.tlog-proof --key KEY [--line FILE]

KEY is the ledger's verifier key, name+hash+base64: do not take it from who gave you the export.
HEAD is a file with a tree head; give each that you ever kept. For a part of a ledger,
EXPORT.jsonl.proof.json must lie beside it. Exit codes: 0 verified, 3 not verified, 2 usage.

To read it: a signature, a signed note, a tree, a line of an export; then Audit, which puts them
together. What the bytes mean: docs/ledger-format.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

LONGEST_LINE = 1 << 26
MOST_FINDINGS = 100
TEXTS = "actor at commitment id ledger stream txn type via".split()
NUMBERS = "attributes position revision v version".split()
NAMES: dict[str, type] = {**dict.fromkeys(TEXTS, str), **dict.fromkeys(NUMBERS, int)}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
NOTE = re.compile(  # origin, size, root, extensions; blank line; signatures
    "(([^\x00-\x1f\x7f]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\x00-\x1f\x7f]+\n)*)"
    "\n((?:\N{EM DASH} [^\\s+]+ [A-Za-z0-9+/=]+\n)+)"
)
PROOF = re.compile(
    "c2sp\\.org/tlog-proof@v1\n(?:extra (\\S+)\n)?index (0|[1-9][0-9]{0,15})\n((?:\\S+\n){0,60})"
)
CANNOT_SHOW = (
    "that what was recorded is true",
    "that nothing was done which was never recorded",
    "what came after the newest head that you hold: keep every head you are given",
)


class Bad(Exception):
    """What is wrong, in words."""


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


# Ed25519 (RFC 8032), points in extended coordinates

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
ZERO = (0, 1, 1, 0)
Point = tuple[int, int, int, int]


def point(data: bytes) -> Point | None:
    """Read a point; None unless it is on the curve and in its only form (RFC 8032 5.1.3)."""
    sign, y = int.from_bytes(data, "little") >> 255, int.from_bytes(data, "little") % 2**255
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if y >= P or (v * x * x - u) % P or (x == 0 and sign):
        return None
    x = x if x % 2 == sign else P - x
    return x, y, 1, x * y % P


def add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * D * p[3] * q[3], 2 * p[2] * q[2]
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little")) or ZERO


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature is good; keys of small order, which fit all, are none."""
    key, s = point(public), int.from_bytes(signature[32:], "little")
    if len(public) != 32 or len(signature) != 64 or s >= L or key is None:
        return False
    doubled = add(key, key)
    doubled = add(doubled, doubled)
    if add(doubled, doubled)[0] == 0:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus = (P - key[0], key[1], 1, P - key[3])
    choice = (ZERO, BASE, minus, add(BASE, minus))
    x, y, z, t = ZERO
    for bit in range(252, -1, -1):  # s * BASE - k * key, which is R if the signature is good
        x, y, z, t = add((x, y, z, t), (x, y, z, t))
        x, y, z, t = add((x, y, z, t), choice[(s >> bit & 1) + 2 * (k >> bit & 1)])
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return signature[:32] == (y | x % 2 << 255).to_bytes(32, "little")


# Keys and signed notes (C2SP signed-note, tlog-checkpoint)


def unbase64(text: Any) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Bad(f"{text!a:.40} is no base64") from None
    if base64.b64encode(data).decode() != text:
        raise Bad(f"{text!a:.40} is not the only base64 of its bytes")
    return data


class Key(NamedTuple):
    """A verifier key: name+hash+base64(0x01 || public key)."""

    name: str
    id: bytes
    public: bytes


def key_of(text: Any) -> Key:
    name, id_, data, *_ = *str(text).split("+", 2), "", ""
    public = unbase64(data)
    hash_ = sha256(name.encode(), b"\n", public)[:4]
    if not name or hash_.hex() != id_ or len(public) != 33 or public[0] != 1:
        raise Bad(f"{text!a:.150} is no Ed25519 verifier key, name+hash+base64")
    return Key(name, hash_, public[1:])


class Head:
    """A tree head: an origin, a size, the root over so many events, and signatures."""

    def __init__(self, data: bytes) -> None:
        found = NOTE.fullmatch(data.decode("utf-8", "replace"))
        if not found:
            raise Bad("it is no signed tree head")
        self.text, self.origin, self.size = found[1].encode(), found[2], int(found[3])
        self.root, self.agrees = unbase64(found[4]), None
        lines = [line.split(" ")[1:] for line in found[5].splitlines()]
        self.signatures = [(name, unbase64(s)[:4], unbase64(s)[4:]) for name, s in lines]

    agrees: bool | None  # with the events, once they were compared


class Keys:
    """The keys that are trusted, each with the first and the last size that it may sign."""

    def __init__(self, keys: list[Key]) -> None:
        self.known = dict.fromkeys(keys, (0, 2**63))

    def check(self, head: Head) -> None:
        """Raise Bad unless the ledger's own key signed; what unknown keys signed is ignored."""
        spans = []
        for name, id_, signature in head.signatures:
            for key in self.known:
                if key[:2] == (name, id_) and not signed(key.public, head.text, signature):
                    raise Bad(f"the signature of {name!a:.100} is false")
                if key[:2] == (name, id_) and name == head.origin:
                    spans.append(self.known[key])
        if not spans:
            raise Bad(f"no key that you gave signed it for {head.origin!a:.100}")
        if not any(first <= head.size <= last for first, last in spans):
            raise Bad("it is signed by a key that was not in force at this size")

    def rotated(self, header: dict[str, Any], shown: dict[str, Any]) -> str:
        """Trust a key that a trusted one vouches for (KeyRotated); return what became of it."""
        names = ("size", "old", "new", "signature_old", "signature_new")
        if not set(names) <= set(shown):
            return "the key was rotated; to which is not shown: give the new one with --key"
        size, was, is_, *signatures = (shown[name] for name in names)
        old, new = key_of(was) if was is not None else None, key_of(is_)
        text = f"scim-ledger key rotation\n{header['ledger']}\n{size}\n{was or '-'}\n{is_}\n"
        for key, signature in zip((old, new), signatures):
            if key and not signed(key.public, text.encode(), unbase64(signature)):
                raise Bad(f"KeyRotated: the signature of {key.name!a:.100} is false")
        if new not in self.known and old not in self.known:
            return f"the key was rotated, from one that you did not give to {is_!a}"
        self.known[new] = header["position"], self.known.get(new, (0, 2**63))[1]
        if old:
            self.known[old] = self.known.get(old, (0, 0))[0], header["position"] - 1
        return f"the key was rotated to {is_!a}"

    def restored(self, header: dict[str, Any], shown: dict[str, Any]) -> str:
        """Trust a key under a new origin too (Restored); return what became of it."""
        new = key_of(shown["verifier_key"]) if shown.get("verifier_key") else None
        if new and any(key.public == new.public for key in self.known):
            self.known.setdefault(new, (header["position"], 2**63))
        return (
            f"restored from a copy, now {header['ledger']!a:.100}: what had been recorded from here"
            f" on as {shown.get('previous')!a:.100} is in this ledger no more"
        )


# The tree (RFC 6962), growing to the right: of it only whole subtrees are kept, with their heights

Tree = list[tuple[bytes, int]]


def push(tree: Tree, hash_: bytes, height: int = 0) -> None:
    while tree and tree[-1][1] == height:
        hash_, height = sha256(b"\x01", tree.pop()[0], hash_), height + 1
    tree.append((hash_, height))


def root(tree: Tree) -> bytes:
    hashes = [hash_ for hash_, _ in tree]
    while len(hashes) > 1:
        hashes[-2:] = [sha256(b"\x01", *hashes[-2:])]
    return hashes[0] if hashes else sha256()


def root_of(leaves: list[bytes]) -> bytes:
    tree: Tree = []
    for leaf in leaves:
        push(tree, leaf)
    return root(tree)


def heights(start: int, end: int) -> Iterator[int]:
    """Yield the heights of the whole subtrees that cover the leaves from start to before end."""
    while start < end:
        room = (end - start).bit_length() - 1
        height = min(room, (start & -start).bit_length() - 1) if start else room
        yield height
        start += 1 << height


def climb(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes:
    """Return the root over a leaf and the hashes beside its way, the lowest first, using them."""
    if size == 1 or not hashes:
        return leaf
    half, beside = 1 << (size - 1).bit_length() - 1, hashes.pop()
    if index < half:
        return sha256(b"\x01", climb(leaf, index, half, hashes), beside)
    return sha256(b"\x01", beside, climb(leaf, index - half, size - half, hashes))


# Lines


JCS = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def jcs(value: Any) -> bytes:
    """Return RFC 8785 JSON: so it is, since floats and great integers are refused."""
    return JCS.encode(value).encode()


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Bad("a name stands twice in one object")
    return found


def integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) >= 2**53:
        raise ValueError(f"the number {text:.20} is no integer below 2^53")
    return int(text)


# JSON in which no name stands twice in an object and every number is an integer that is exact
parse = json.JSONDecoder(
    object_pairs_hook=once, parse_int=integer, parse_float=integer, parse_constant=integer
).decode


def unhex(value: Any, size: int = 32) -> bytes:
    if not (isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value)):
        raise Bad(f"a salt or hash is not {2 * size} hex digits")
    return bytes.fromhex(value)


def header_of(text: str) -> dict[str, Any]:
    header = parse(text)
    if not isinstance(header, dict) or {name: type(header[name]) for name in header} != NAMES:
        raise Bad("the header has not the names and types of format 1")
    if jcs(header) != text.encode() or len(text.encode()) > 65535:
        raise Bad("the header is not in canonical form")
    if header["v"] != 1 or not TIME.fullmatch(header["at"]) or header["attributes"] < 0:
        raise Bad("the header is not of format 1")
    unhex(header["commitment"])
    return header


def entries(line: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return what a line shows of its payload, and the hashes of all entries; raises Bad."""
    if set(line) == {"header", "payload", "salt"} and isinstance(line["payload"], dict):
        found = line["payload"]
        salts = hashlib.shake_256(unhex(line["salt"])).digest(16 * len(found))
        each = ((16 * i, jcs([path, found[path]])) for i, path in enumerate(sorted(found)))
        return found, [sha256(b"\x00", salts[at : at + 16], entry) for at, entry in each]
    if set(line) != {"header", "leaves", "shown"} or not isinstance(line["leaves"], list):
        raise Bad("it is none of the three forms of a line")
    leaves, found, last = [unhex(leaf) for leaf in line["leaves"]], {}, -1
    for entry in line["shown"] if isinstance(line["shown"], list) else [None]:
        if not isinstance(entry, list) or [type(e) for e in entry[:2]] != [int, str]:
            raise Bad("what is shown is no list of [index, path, value, salt]")
        if len(entry) != 4 or not last < entry[0] < len(leaves) or entry[1] in found:
            raise Bad("what is shown is no list of [index, path, value, salt], in order")
        last, path, value, salt = entry
        if sha256(b"\x00", unhex(salt, 16), jcs([path, value])) != leaves[last]:
            raise Bad(f"the value or salt shown of {path!a:.80} is not what was recorded")
        found[path] = value
    return found, leaves


class Span(NamedTuple):
    """What a part of a ledger needs to be proved: the tree's hashes before and after it."""

    first: int
    last: int
    size: int
    left: Tree
    right: Tree


def span_of(data: bytes) -> Span:
    found = parse(data.decode())
    if not isinstance(found, dict) or set(found) != {"from", "to", "size", "left", "right"}:
        raise Bad("it has not the names from, to, size, left, right")
    first, last, size, left, right = (found[n] for n in ("from", "to", "size", "left", "right"))
    if not all(type(n) is int for n in (first, last, size)) or not 1 <= first <= last <= size:
        raise Bad("from, to and size are no positions in order")
    sides = []
    for hashes, begin, end in ((left, 0, first - 1), (right, last, size)):
        spans = [*heights(begin, end)]
        if not isinstance(hashes, list) or len(hashes) != len(spans):
            raise Bad("it has not the hashes that the tree needs")
        sides.append([*zip(map(unhex, hashes), spans)])
    return Span(first, last, size, *sides)


class Audit:
    """What is known after each line; it stays small however long the export is."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.heads: list[Head] = []
        self.span: Span | None = None
        self.tree: Tree = []
        self.first = self.position = self.events = self.missing = self.proved = 0
        self.ledger = self.since = self.until = ""
        self.versions: dict[str, int] = {}  # by stream
        self.hidden: dict[str, int] = {}  # payloads not shown, by stream
        self.payloads = {"shown": 0, "partly": 0, "withheld": 0, "erased": 0}
        self.findings: list[tuple[int | None, str]] = []
        self.notes: list[str] = []

    def find(self, position: int | None, what: str) -> None:
        self.findings.append((position, what))

    def lines(self, file: BinaryIO) -> None:
        """Check every line, then every head."""
        for data in iter(lambda: file.readline(LONGEST_LINE), b""):
            if len(self.findings) >= MOST_FINDINGS:
                return self.find(None, "there are more findings; the rest was not read")
            self.line(data)
        self.end()

    def line(self, data: bytes) -> None:
        self.position, leaf = self.position + 1, sha256()
        try:
            line = parse(data.decode())
            if not isinstance(line, dict) or not isinstance(line.get("header"), str):
                raise Bad("it is no line of an export: it has no header")
            leaf = sha256(b"\x00", line["header"].encode())
            header = header_of(line["header"])
            self.follow(header)
            self.payload(line, header)
        except Bad as error:
            self.find(self.position, str(error))
        except (ValueError, RecursionError) as error:
            self.find(self.position, f"it is no line of an export: {error!s:.100}")
        push(self.tree, leaf)
        self.events += 1
        self.compare(self.position, self.ledger)

    def follow(self, header: dict[str, Any]) -> None:
        """Check that an event follows the one before; a finding each, for one hides no other."""
        position, stream, due = header["position"], header["stream"], self.position
        if not self.events:
            self.first = due = position
            self.since, self.ledger = header["at"], header["ledger"]
            self.tree = list(self.span.left) if self.span else []
            self.compare(position - 1, None)
        if position > due:
            self.missing += position - due
            self.find(due, f"missing: position {position} follows {due - 1}")
        if position < due:
            self.find(position, f"out of order: it follows position {due - 1}")
        self.position = position
        version = self.versions.get(stream, 0 if self.first == 1 else header["version"] - 1) + 1
        if header["version"] != version:
            self.find(position, f"version {header['version']} of its stream, not {version}")
        if header["at"] < self.until:
            self.find(position, "its time is before that of the event before it")
        if header["ledger"] != self.ledger and header["type"] != "Restored":
            self.find(position, f"it is of another ledger, {header['ledger']!a:.100}")
        if (header["type"] == "LedgerOpened") != (position == 1):
            self.find(position, "LedgerOpened is the first event, and no other is")
        self.versions[stream], self.until, self.ledger = version, header["at"], header["ledger"]

    def payload(self, line: dict[str, Any], header: dict[str, Any]) -> None:
        """Check the commitment, and learn from the events that change keys, origin or the past."""
        stream, found = header["stream"], dict[str, Any]()
        if header["type"] == "Erased":
            self.payloads["erased"] += self.hidden.pop(stream, 0)
        if set(line) == {"header"}:
            self.hidden[stream] = self.hidden.get(stream, 0) + 1
        else:
            found, hashes = entries(line)
            if len(hashes) != header["attributes"]:
                raise Bad(f"{len(hashes)} entries, but {header['attributes']} by its header")
            if root_of(hashes).hex() != header["commitment"]:
                raise Bad("commitment: the payload is not what was recorded")
            self.payloads["shown" if "payload" in line else "partly"] += 1
        if header["type"] == "KeyRotated":
            self.notes.append(f"position {self.position}: {self.keys.rotated(header, found)}")
        if header["type"] == "Restored":
            self.notes.append(f"position {self.position}: {self.keys.restored(header, found)}")

    def compare(self, size: int, origin: str | None) -> None:
        """Compare the heads of a size with the events up to there."""
        whole = self.first == (self.span.first if self.span else 1)
        for head in self.heads:
            if head.size == size and head.agrees is None and whole:
                head.agrees = head.root == root(self.tree) and origin in (None, head.origin)

    def end(self) -> None:
        self.payloads["withheld"] = sum(self.hidden.values())
        reach = self.position
        if self.span and (self.span.first, self.span.last) == (self.first, self.position):
            reach = self.span.size
            for hash_, height in self.span.right:
                push(self.tree, hash_, height)
            self.compare(reach, None)
        elif self.span:
            self.find(None, "EXPORT.proof.json is of other positions than these")
        elif self.first > 1:
            self.find(
                None, "it does not begin at position 1: EXPORT.proof.json is needed beside it"
            )
        for head in self.heads:
            self.judge(head, reach)
        if not self.proved:
            self.find(None, "no head proves these events")
        elif self.proved < self.position:
            after = f"positions {self.proved + 1} to {self.position}"
            self.find(self.proved + 1, f"{after} come after the newest head: nothing proves them")

    def judge(self, head: Head, reach: int) -> None:
        """Say what a head proves, or what is wrong."""
        others = [h.root for h in self.heads if (h.size, h.origin) == (head.size, head.origin)]
        try:
            self.keys.check(head)
            if any(other != head.root for other in others):
                raise Bad("a fork: there are two of this size, with different roots")
            if head.size > reach:
                raise Bad(f"the events after position {reach} are missing, up to {head.size}")
            if head.agrees is False:
                raise Bad("its root or its origin is not that of these events")
        except Bad as error:
            return self.find(None, f"head of size {head.size}: {error}")
        if head.agrees:
            self.proved = max(self.proved, head.size)
        else:
            self.notes.append(f"head of size {head.size}: outside of these events, not compared")

    def alone(self, proof: bytes, line: bytes | None) -> None:
        """Check that one event is in a signed tree (C2SP tlog-proof)."""
        text, _, note = proof.partition(b"\n\n")
        found = PROOF.fullmatch(f"{text.decode()}\n")
        if not found or not (line or found[1]):
            raise Bad("give the event's line with --line" if found else "it is no tlog-proof")
        self.line(line or jcs({"header": unbase64(found[1]).decode()}))
        number, head = int(found[2]), Head(note)
        self.keys.check(head)
        if self.position != number + 1 or number >= head.size:
            raise Bad(f"it is of position {number + 1}, the event is at {self.position}")
        hashes = [unbase64(text) for text in found[3].split()]
        if climb(root(self.tree), number, head.size, hashes) != head.root or hashes:
            raise Bad("the event is not in the tree that was signed, or not there")
        self.notes.append(f"the event is in the tree of {head.size} events that was signed")

    def verdict(self) -> dict[str, Any]:
        names = "ledger events first position since until payloads proved missing notes".split()
        places = [position for position, _ in self.findings if position is not None]
        return {
            "ok": not self.findings,
            **{name: getattr(self, name) for name in names},
            "first_bad_position": min(places, default=None),
            "findings": [{"position": at, "what": what} for at, what in self.findings],
            "cannot_show": CANNOT_SHOW,
        }


WORDS = """\
ledger    {ledger!a:.200}
events    {events}: positions {first} to {position}
recorded  from {since} to {until}
found     {missing} missing; proved up to {proved}"""


def say(verdict: dict[str, Any]) -> None:
    """Print a verdict in plain words."""
    payloads = ", ".join(f"{number} {how}" for how, number in verdict["payloads"].items())
    print(WORDS.format(**verdict), f"payloads  {payloads}", sep="\n")
    print(*(f"note      {note}\n" for note in verdict["notes"]), sep="", end="")
    for position, what in (finding.values() for finding in verdict["findings"]):
        print("FOUND    ", what if position is None else f"position {position}: {what}")
    if verdict["ok"]:
        print("VERIFIED: as it was recorded and signed; nothing is changed, left out or added.")
    else:
        print(f"NOT VERIFIED; first bad position: {verdict['first_bad_position'] or 'none known'}.")
    print("What no proof can show:", *CANNOT_SHOW, sep="\n- ")


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(LONGEST_LINE)


def audit_of(options: argparse.Namespace, keys: Keys) -> Audit:
    """Check what the options name; whatever stands in the files becomes a finding."""
    audit, name, beside = Audit(keys), options.proof, f"{options.export}.proof.json"
    try:
        if options.proof:
            audit.alone(read(name), read(options.line) if options.line else None)
            return audit
        for name in options.head:
            audit.heads.append(Head(read(name)))
        if os.path.exists(name := beside):
            audit.span = span_of(read(name))
    except (Bad, ValueError, RecursionError) as error:
        audit.find(None, f"{name!a}: {error!s:.150}")
    if options.export:
        with open(options.export, "rb") as file:
            audit.lines(file)
    return audit


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("export", nargs="?", help="the export, a line for each event")
    parser.add_argument("--head", action="append", default=[], help="a file with a tree head")
    parser.add_argument("--key", action="append", required=True, help="a verifier key, as text")
    parser.add_argument("--proof", help="a file with the proof of one event")
    parser.add_argument("--line", help="a file with the line of that event")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    options = parser.parse_args()
    if bool(options.export) == bool(options.proof) or bool(options.export) != bool(options.head):
        parser.error("give EXPORT with --head, or --proof")
    try:
        verdict = audit_of(options, Keys([key_of(text) for text in options.key])).verdict()
    except (Bad, OSError) as error:
        parser.error(str(error))
    print(json.dumps(verdict, indent=2)) if options.json else say(verdict)
    return 0 if verdict["ok"] else 3


if __name__ == "__main__":
    sys.exit(main())
