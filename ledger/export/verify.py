#!/usr/bin/env python3
"""Check an export of a scim-ledger against signed tree heads, with nothing but Python 3.9 or later.

  python3 verify.py EXPORT.jsonl --head HEAD --key KEY [--head OLDER-HEAD ...]
  python3 verify.py --proof FILE.tlog-proof --key KEY [--line FILE]

KEY is the ledger's verifier key, name+hash+base64: do not take it from who gave you the export.
HEAD is a file with a tree head, such as EXPORT.jsonl.tree-head; give each that you ever kept. For
a part of a ledger, EXPORT.jsonl.proof.json must lie next to it.

Exit codes: 0 verified, 3 not verified, 2 usage, 6 a file cannot be read. How a file was saved does
not matter: LF or CRLF, a byte order mark, UTF-16 with one, empty lines at the end.

To read it: text, signature, note, tree, line, chain, then Audit, which puts them together. What
the bytes mean is in docs/ledger-format.md of scim-ledger. Every error ends up as a finding.
"""

import sys

if sys.version_info < (3, 9):  # all of this file is of the syntax of 2.7, or this is never said
    sys.stderr.write("verify.py needs Python 3.9 or later; this is %s\n" % sys.version.split()[0])
    sys.exit(2)

import argparse
import base64
import codecs
import copy
import hashlib
import io
import json
import re
from pathlib import Path


def require(good, words, *values):
    if not good:
        raise ValueError(words.format(*values))


# Text: how a file was saved is not looked at
class Unreadable(Exception):
    """A file is not what it should be, so nothing can be said of the events."""


def text_in(file):
    marked = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.TextIOWrapper(file, "utf-16" if marked else "utf-8-sig", "surrogateescape", "\n")


def plain(text, of):
    if re.search("[\0\ud800-\udfff]", text):  # surrogates stand for bytes that are not UTF-8
        raise Unreadable("{} is not UTF-8: saved in another encoding, or damaged".format(of))
    return text


def parsed(file, parse):
    """Return what a small file holds."""
    try:
        text = plain(file.read(1 << 26), "it").replace("\r\n", "\n")
        return parse(text.rstrip("\n") + "\n")
    except Exception as error:
        raise Unreadable("{!s:.200}".format(error))  # noqa: B904 (Python 2 knows no "from")


def read(name, parse, of):
    try:
        with text_in(Path(name).open("rb")) as file:
            return parsed(file, parse)
    except Unreadable as error:
        raise Unreadable("{!a} cannot be read as {}: {}".format(str(name), of, error))  # noqa: B904


# Signature: Ed25519 (RFC 8032 section 5.1)
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, -1, P) % P


def point(data):
    """Read a point (section 5.1.3); None unless it is on the curve and in its only form."""
    sign, y = divmod(int.from_bytes(data, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or y >= P or len(data) != 32 or (x == 0 and sign):
        return None
    return (x if x % 2 == sign else P - x), y


def add(p, q):
    """Add two points by the law of the curve (section 3), which has no exceptions."""
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2
    x, y, inverse = x1 * y2 + x2 * y1, y1 * y2 + x1 * x2, pow(1 - t * t, -1, P)
    return x * (1 - t) * inverse % P, y * (1 + t) * inverse % P  # x / (1 + t), y / (1 - t)


def times(number, p):
    """Multiply a point: an even number of times is half as often its double."""
    if number == 0:
        return 0, 1
    half = times(number // 2, add(p, p))
    return add(half, p) if number % 2 else half


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signed(public, message, signature):
    """Tell whether a signature is good (section 5.1.7)."""
    key, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or len(signature) != 64 or s >= L:
        return False
    if times(8, key) == (0, 1):  # such a key, of small order, has signatures that fit any message
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return times(s, BASE) == add(r, times(k, key))


# Note: verifier keys and tree heads (C2SP signed-note, tlog-checkpoint), proofs (tlog-proof)
NOTE = re.compile(  # origin, size, root, extensions; a blank line; signatures
    "(([^\x00-\x1f\x7f]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\x00-\x1f\x7f]+\n)*)"
    "\n((?:\N{EM DASH} [^\\s+]+ [A-Za-z0-9+/=]+\n)+)"
)
PROOF = re.compile(  # the event's header, its index, hashes; a blank line; the note
    "c2sp\\.org/tlog-proof@v1\n(?:extra (\\S+)\n)?index (0|[1-9][0-9]{0,15})\n"
    "((?:[A-Za-z0-9+/]{43}=\n){0,60})\n((?s:.*))"
)


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    require(base64.b64encode(data).decode() == text, "{!a:.40} is not its only base64", text)
    return data


def verifier_key(text):
    """Read name+hash+base64(0x01 || public key); return the name, the hash and the public key."""
    require(not re.search("\\s", text), "a key has no spaces")
    name, id_, data = text.split("+", 2)
    typed = unbase64(data)
    hash_ = sha256(name.encode() + b"\n" + typed)[:4]
    good = name and hash_.hex() == id_ and len(typed) == 33 and typed[0] == 1
    require(good, "it is no Ed25519 key, or its hash is another")
    return name, hash_, typed[1:]


def key_given(text):
    """Take a key from the command line, or as it was saved in a file."""
    text = text.lstrip("\ufeff").strip()
    verifier_key(text)
    return text


def head_of(text):
    """Read a tree head; return its origin, size, root, signed text and signatures."""
    found = NOTE.fullmatch(text)
    require(found, "it is no signed tree head")
    lines = [line.split(" ") for line in found[5].splitlines()]
    signatures = [(name, unbase64(data)) for _, name, data in lines]
    return found[2], int(found[3]), unbase64(found[4]), found[1].encode(), signatures


def proof_of(text):
    """Read a proof; return the event's header, its index, hashes, and the tree head."""
    found = PROOF.fullmatch(text)
    require(found, "it is no tlog-proof")
    header = unbase64(found[1]).decode() if found[1] else None
    return header, int(found[2]), [unbase64(each) for each in found[3].split()], head_of(found[4])


# Tree (RFC 9162 section 2.1): as it grows to the right, only the roots of whole subtrees are kept,
# each with its height; two of one height are joined at once
def sha256(data):
    return hashlib.sha256(data).digest()


def push(tree, hash_, height=0):
    while tree and tree[-1][1] == height:
        hash_, height = sha256(b"\x01" + tree.pop()[0] + hash_), height + 1
    tree.append((hash_, height))


def push_parts(tree, start, end, hashes):
    """Push the fewest whole subtrees that cover the leaves from start to before end."""
    for hash_ in hashes:
        height = 0
        while start % (2 << height) == 0 and start + (2 << height) <= end:
            height += 1
        push(tree, unhex(hash_), height)
        start += 1 << height
    require(start == end, "it has not the hashes that the tree needs")


def root(tree):
    hash_ = tree[-1][0] if tree else sha256(b"")
    for left, _ in reversed(tree[:-1]):
        hash_ = sha256(b"\x01" + left + hash_)
    return hash_


def root_over(leaf, index, size, hashes):
    """Return the root over a leaf and the hashes on its way (section 2.1.3.2)."""
    hash_, last = leaf, size - 1
    for sibling in hashes:
        require(last, "it has more hashes than the tree needs")
        left = index % 2 == 0 and index != last
        hash_ = sha256(b"\x01" + (hash_ + sibling if left else sibling + hash_))
        while not left and index % 2 == 0 and index:  # at the right edge: heights without a node
            index, last = index // 2, last // 2
        index, last = index // 2, last // 2
    require(last == 0, "it has fewer hashes than the tree needs")
    return hash_


# Line: an event, of which the payload is shown whole, in part or not at all
WHOLE = {"from": 1, "left": [], "right": []}  # or what EXPORT.proof.json says
FORMS = {"header", "payload", "salt"}, {"header", "leaves", "shown"}, {"header"}
NAMES = dict.fromkeys("actor at commitment id ledger stream txn type via".split(), str)
NAMES.update(dict.fromkeys("attributes position revision v version".split(), int))
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
JCS = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def jcs(value):
    """Return canonical JSON (RFC 8785): so it is, for parse lets no numbers in but integers."""
    return JCS.encode(value).encode()


def once(pairs):
    require(len(dict(pairs)) == len(pairs), "a name stands twice in one object")
    return dict(pairs)


# int refuses what is no integer, such as 1.0 or NaN
parse = json.JSONDecoder(object_pairs_hook=once, parse_float=int, parse_constant=int).decode


def part_of(text):
    """Read what EXPORT.proof.json says of a part of a ledger."""
    part = parse(text)
    types = {"from": int, "to": int, "size": int, "left": list, "right": list}
    found = isinstance(part, dict) and {name: type(value) for name, value in part.items()}
    require(found == types, "it has not the names from, to, size, left, right")
    return part


def unhex(text, size=32):
    good = bytes.fromhex(text).hex() == text and len(text) == 2 * size
    require(good, "a hash or salt is not in its only form")
    return bytes.fromhex(text)


def payload_of(line):
    """Return what a line shows of its payload, and the hashes of all entries, in order."""
    if "payload" in line:
        entries = sorted(line["payload"].items())
        salts = hashlib.shake_256(unhex(line["salt"])).digest(16 * len(entries))
        each = [(salts[16 * i : 16 * i + 16], jcs(entry)) for i, entry in enumerate(entries)]
        return line["payload"], [sha256(b"\x00" + salt + entry) for salt, entry in each]
    shown, last, hashes = {}, -1, [unhex(leaf) for leaf in line["leaves"]]
    for index, path, value, salt in line["shown"]:
        good = last < index < len(hashes) and type(index) is int and path not in shown
        require(good, "what is shown is not in order")
        entry = sha256(b"\x00" + unhex(salt, 16) + jcs([path, value]))
        require(entry == hashes[index], "what is shown of {!a:.80} was not recorded", path)
        last, shown[path] = index, value
    return shown, hashes


# Chain: origins and keys, by "Keys and origins" of docs/ledger-format.md
UNKNOWN = ""  # a key that these events do not show; None is no key at all
PROVING = {  # the entries without which a change cannot be judged
    "LedgerOpened": {"verifier_key"},
    "KeyRotated": {"size", "old", "new", "signature_old", "signature_new"},
    "Restored": set("previous size verifier_key key signature abandoned changes".split()),
}


class Chain:
    """The origin and the key in force after some events, and how trust passes between keys."""

    handovers = ()  # old key, new key, whether trust passes forward, and whether it passes back
    retired = frozenset()
    learned = UNKNOWN  # what was in force before a change, where that was not known

    def __init__(self, origin, key=UNKNOWN, since=0):
        self.origin, self.key, self.borne = origin, key, frozenset([origin])
        self.since = since  # when the key came into force, as far as that is known

    def changed(self, type_, position, origin, entries):
        """Return the chain after a change; an event that breaks the rule raises an error."""
        size, restores = entries["size"], type_ == "Restored"
        require(restores or type_ == "KeyRotated", "{!a:.100} is no change of a key", type_)
        require(type(size) is type(position) is int, "{}: its size is no number", type_)
        how = self.restored if restores else self.rotated
        chain, old, new, by_old, by_new = how(position, origin, entries, size)
        chain.enforce(old, type_)
        require(verifier_key(new)[0] == origin, "{}: the new key is not of its origin", type_)
        about = "scim-ledger {}".format("recovery" if restores else "key rotation")
        lines = about, chain.origin, size, old or "-", new
        text = "".join("{}\n".format(line) for line in lines).encode()
        for name, key, signature in ("old", old, by_old), ("new", new, by_new):
            good = signature is None or signed(verifier_key(key)[2], text, unbase64(signature))
            require(good, "{}: the signature of the {} key is false", type_, name)
        chain.handovers += ((old, new, by_old is not None, by_new is not None),)
        chain.origin, chain.borne = origin, chain.borne | {origin}
        chain.key, chain.retired = new, (chain.retired | {old}) - {new}
        chain.since = position
        return chain

    def rotated(self, position, origin, entries, size):
        """Return a copy of the chain, the keys that a KeyRotated names, and their signatures."""
        old, new = entries["old"], entries["new"]
        by_old, by_new = entries["signature_old"], entries["signature_new"]
        require(0 <= size < position, "KeyRotated: its size is not of events before it")
        good = old is None or size >= self.since
        require(good, "KeyRotated: it was signed before the old key came into force")
        require(origin == self.origin, "KeyRotated: its origin is not in force")
        require(new != old, "KeyRotated: the new key is the old one")
        good = by_new is not None and (by_old is None) == (old is None)
        require(good, "KeyRotated: a signature is missing, or of no key")
        return copy.copy(self), old, new, by_old, by_new

    def restored(self, position, origin, entries, size):
        """Return the same of a Restored, the chain being that of the history that ended."""
        chain, lost, agreed = copy.copy(self), entries.get("changes", []), entries.get("agreed")
        require(size == position - 1, "Restored: its size is not that of the events before it")
        require(type(lost) is list, "Restored: changes is no list")
        for each in lost:  # in the events that were lost
            chain = chain.changed(each["type"], each["position"], each["ledger"], each)
        require(entries["previous"] == chain.origin, "Restored: previous is not in force")
        require(origin not in chain.borne, "Restored: its origin is not a new one")
        good = agreed is None or (type(agreed) is int and 0 <= agreed <= size)
        require(good, "Restored: agreed is not a number of kept events")
        if entries["abandoned"] is not None:
            head_of(entries["abandoned"])
        key = entries.get("key", chain.key)
        return chain, key, entries["verifier_key"], entries.get("signature"), None

    def enforce(self, key, type_):
        """Require that a key is the one in force; where that is not known, that it can be."""
        if self.key == UNKNOWN and key != UNKNOWN and key not in self.retired:
            require(key is None or verifier_key(key)[0] == self.origin, "{}: an alien key", type_)
            self.learned = self.key = key
        require(key == self.key != UNKNOWN, "{}: the key it ends was not in force", type_)

    def hidden(self, origin, position):
        """Return the chain after a change that is not shown."""
        chain = copy.copy(self)
        chain.key, chain.retired = UNKNOWN, self.retired | ({self.key} - {UNKNOWN})
        chain.origin, chain.borne, chain.since = origin, self.borne | {origin}, position
        return chain

    def trusted(self, given):
        """Return the keys to which those given lead: forward, then back."""
        found = set(given)
        for old, new, forward, _ in self.handovers:
            found |= {new} if forward and old in found else set()
        for old, new, _, back in reversed(self.handovers):
            found |= {old} if back and old and new in found else set()
        return sorted(found)


# Streams of users: only there can payloads be erased, so nothing else may be recorded there
OF_USERS = set("Created Updated Deactivated Reactivated Deleted Erased".split())


def some(positions):
    return ", ".join(map(str, positions[:20])) + (" ..." if positions[20:] else "")


class Audit:
    """What is known after each line; it stays small however long the export is."""

    def __init__(self, keys):
        self.given = keys
        self.heads, self.tree = [], []
        self.roots = {}  # by the sizes of the heads: the root of these events, and their origin
        self.chain, self.own = Chain(""), ""  # own: the ledger's own stream, which alone changes it
        self.spans = [(0, UNKNOWN, frozenset())]  # from a size on: key in force, keys retired
        self.ended = {}  # former origins, and where they ended
        self.versions, self.erased = {}, set()  # by stream
        self.hidden = {}  # by stream: how many payloads are not shown, and the first position
        self.bare, self.first_bare = 0, []  # payloads of which only hashes are shown
        self.payloads = {"shown": 0, "partly": 0, "withheld": 0, "erased": 0}
        self.findings, self.notes = [], []  # each a position, or None, and words
        self.first = self.position = self.events = self.proved = 0
        self.ledger = self.since = self.until = ""
        self.unreadable = None

    def find(self, at, words, *values):
        self.findings.append((at, words.format(*values)))

    def note(self, words, *values):
        self.notes.append(words.format(*values))

    def export(self, file, part=None, file_of_part="EXPORT.proof.json"):
        """Check every line, then every head; part is what the file next to it holds."""
        whole, empty, part = not part, 0, part or WHOLE
        push_parts(self.tree, 0, part["from"] - 1, part["left"])
        self.roots = {head[1]: None for head in self.heads}
        self.roots[part["from"] - 1] = root(self.tree), None
        for text in iter(lambda: file.readline(1 << 26), ""):
            text = plain(text, "the line after position {}".format(self.position)).rstrip("\r\n")
            if "}\r{" in text:
                words = "the export's lines end with a carriage return alone: save it with newlines"
                raise Unreadable(words)
            for each in [""] * min(empty, 99) + [text] if text else ():
                self.line(each)
            empty = 0 if text else empty + 1  # at the end empty lines do not matter
            require(len(self.findings) < 100, "there are more findings; the rest was not read")
        if not self.events:
            raise Unreadable("the export has no lines")
        last, size = (self.position, self.position) if whole else (part["to"], part["size"])
        if whole and self.first > 1:
            words = "the events before {} are missing; if this is a part of a ledger, {!a} is"
            self.find(1, words, self.first, file_of_part)
        elif (part["from"], last) != (self.first, self.position):
            words = "{!a} is of the positions from {} to {}, the export from {} to {}"
            self.find(None, words, file_of_part, part["from"], last, self.first, self.position)
        else:
            push_parts(self.tree, last, size, part["right"])
            if size > last:
                self.roots[size] = root(self.tree), None
            self.judge(size)
        self.forgotten(size == last)

    def one(self, proof, line):
        """Check that one event is in a signed tree."""
        header, index, hashes, head = proof
        require(line or header, "the event is not in the proof: give its line with --line")
        self.heads, size, at = [head], head[1], index + 1
        self.line(line or json.dumps({"header": header}))
        require(self.position == at, "it is of position {}, the event is at {}", at, self.position)
        require(at <= size, "it is of position {}, its tree has {}", at, size)
        self.roots[size] = root_over(root(self.tree), index, size, hashes), None
        self.judge(size)

    def line(self, text):
        """Check a line, and that it follows the one before; whatever is wrong is a finding."""
        self.events, self.position, leaf = self.events + 1, self.position + 1, b""
        try:
            line = parse(text)
            require(isinstance(line, dict) and set(line) in FORMS, "it is no line of an export")
            leaf = sha256(b"\x00" + line["header"].encode())
            header = parse(line["header"])
            types = {name: type(value) for name, value in header.items()}
            good = types == NAMES and header["v"] == 1 and TIME.fullmatch(header["at"])
            require(good, "the header is not of format 1")
            require(jcs(header) == line["header"].encode(), "the header is not in canonical form")
            self.follow(header)
            self.payload(line, header)
        except Exception as error:  # such as a KeyError: the line is not what it must be
            self.find(self.position, "bad line: {!s:.200}", error)
        push(self.tree, leaf)
        if self.position in self.roots:
            self.roots[self.position] = root(self.tree), self.chain.origin

    def follow(self, header):
        """Check that an event follows the one before; no finding hides another."""
        position, stream, type_ = header["position"], header["stream"], header["type"]
        if not self.since:
            self.first = self.position = position
            self.since, self.ledger = header["at"], header["ledger"]
            self.chain = Chain(self.ledger)
            self.spans += [(position - 1, UNKNOWN, frozenset())] if position > 1 else []
        if not self.own and (position == 1 or stream.startswith("Ledger-")):
            self.own = stream
        began = 0 if self.first == 1 else header["version"] - 1  # a part knows no earlier versions
        due = {
            "position": self.position,
            "version": self.versions.get(stream, began) + 1,
            "at": max(self.until, header["at"]),
            "ledger": self.chain.origin,
        }
        if type_ == "Restored" or header["ledger"] == self.ledger:  # judged later, or said before
            del due["ledger"]
        for name, value in due.items():
            if header[name] != value:
                words = "{} {!a:.100} stands where {!a:.100} is due"
                self.find(min(position, self.position), words, name, header[name], value)
        if (type_ == "LedgerOpened") != (position == 1):
            self.find(position, "LedgerOpened is the first event, and no other is")
        if stream in self.erased:
            self.find(position, "it follows the Erased event of its stream")
        if stream.startswith("User-") and type_ not in OF_USERS:
            words = "{:.100} does not belong in the stream of a user, which can be erased"
            self.find(position, words, type_)
        if type_ in PROVING and stream != self.own:
            self.find(position, "{} changes nothing outside of the ledger's own stream", type_)
        self.position, self.versions[stream] = position, due["version"]
        self.until, self.ledger = header["at"], header["ledger"]

    def payload(self, line, header):
        """Check the commitment; learn from events that forget, or change the key or the name."""
        stream, type_, shown = header["stream"], header["type"], {}
        if type_ == "Erased" and stream.startswith("User-"):
            self.payloads["erased"] += self.hidden.pop(stream, (0, 0))[0]
            self.erased.add(stream)
        elif type_ == "Erased":
            self.find(self.position, "Erased hides nothing: only users are erased")
        if set(line) == {"header"}:
            count, first = self.hidden.get(stream, (0, self.position))
            self.hidden[stream] = count + 1, first
        else:
            (shown, hashes), tree = payload_of(line), []
            for hash_ in hashes:
                push(tree, hash_)
            same = (len(hashes), root(tree).hex()) == (header["attributes"], header["commitment"])
            require(same, "commitment: the payload is not what was recorded")
            self.payloads["shown" if "payload" in line else "partly"] += 1
            if hashes and not shown:
                self.bare += 1
                if self.bare < 22:
                    self.first_bare.append(self.position)
        opens = (type_ == "LedgerOpened") == (self.position == 1)
        if type_ in PROVING and stream == self.own and opens:
            self.change(type_, header, shown)

    def change(self, type_, header, shown):
        """Change origin and key by an event that keeps to the rule; one that breaks it raises."""
        before, origin, at = self.chain, header["ledger"], self.position
        needed = PROVING[type_] - ({"changes"} if header["revision"] == 1 else set())
        judged = needed <= set(shown) or len(shown) == header["attributes"]
        if type_ == "LedgerOpened":
            self.chain = Chain(origin, shown.get("verifier_key", None if judged else UNKNOWN), 1)
            good = "verifier_key" not in shown or verifier_key(self.chain.key)[0] == origin
            require(good, "LedgerOpened: its key is not of its origin")
        elif judged:
            self.chain = before.changed(type_, at, origin, shown)
            if before.key == UNKNOWN:
                since, _, retired = self.spans.pop()
                self.spans.append((since, self.chain.learned, retired))
        else:
            require(type_ != "Restored" or origin not in before.borne, "Restored: no new origin")
            self.chain = before.hidden(origin, at)
        self.spans.append((at, self.chain.key, self.chain.retired))
        if type_ == "KeyRotated":
            new = shown["new"] if judged else "what is not shown: give the new one with --key"
            self.note("position {}: the key was rotated to {!a}", at, new)
        if type_ == "Restored":
            signed = "signed that" if shown.get("signature") else "is not seen to have signed that"
            lost = self.chain.handovers[len(before.handovers) : -1]
            gap = not all(forward for old, _, forward, _ in lost if old)
            signed += ", but a change in the events that were lost is not signed" if gap else ""
            more = ": you need the new one" if gap or not shown.get("signature") else ""
            words = "position {}: restored, and now {!a:.100}; its former key {}{}"
            self.note(words, at, origin, signed, more)
            self.ended.update((name, at) for name in self.chain.borne - before.borne - {origin})
            self.ended[before.origin] = at

    def forgotten(self, complete):
        """Judge the payloads that are not shown, if any is; complete: no event comes later."""
        gone = sorted((first, count) for count, first in self.hidden.values())
        if not (gone and self.payloads["shown"] + self.payloads["partly"]):
            return
        for first, count in gone[:100] if complete else ():
            more = ", nor of {} more of its stream".format(count - 1) if count > 1 else ""
            self.find(first, "the payload is gone, and no Erased event says so{}", more)
        if not complete:
            words = "payloads are gone at {}: an Erased event after position {} must say so"
            self.note(words, some([first for first, _ in gone]), self.position)

    def judge(self, reach):
        """Check every head, the events being known up to a size."""
        if reach > self.position:
            self.spans.append((self.position + 1, UNKNOWN, self.chain.retired))
        trusted, signers = self.chain.trusted(self.given), []
        for head in sorted(self.heads, key=lambda head: head[1]):
            try:
                signers.append(self.head(trusted, reach, *head))
            except ValueError as error:
                self.find(None, "head of size {}: {}", head[1], error)
        shown = [(since, key, True) for since, key, _ in self.spans if key]
        order = []  # the keys in force, as far as events and heads show them
        for size, key, known in sorted(shown + signers):
            if key in order[:-1] and not known:
                self.find(None, "head of size {}: its key had been replaced before", size)
            order += [key] if order[-1:] != [key] else []
        if self.proved < self.position:
            at = max(self.proved + 1, self.first)
            self.find(at if self.proved else None, "nothing is proved from position {} on", at)

    def head(self, trusted, reach, origin, size, claimed, text, signatures):
        """Check what a head says, which is only noted of events that were not read.

        Return size, signer and whether the events show that this key was in force.
        """
        signers = []
        for key in trusted:
            name, id_, public = verifier_key(key)
            for signer, data in signatures:
                if (signer, data[:4]) == (name, id_):  # those of other keys are ignored
                    good = signed(public, text, data[4:])
                    require(good, "the signature of {!a:.100} is false", name)
                    signers += [key] if name == origin else []
        end = self.ended.get(origin, size + 1)
        require(size < end or not signers, "it is of events that were lost: see position {}", end)
        index = max(i for i, (since, _, _) in enumerate(self.spans) if since <= size)
        since, due, retired = self.spans[index]
        signers = [key for key in signers if key == due or (due == UNKNOWN and key not in retired)]
        require(signers, "no key that you gave, in force then, signed it for {!a:.100}", origin)
        if index and since <= self.position:  # no other event changed the key
            self.spans[index] = since, signers[0], retired
        forks = {head[2] for head in self.heads if head[:2] == (origin, size)} - {claimed}
        require(not forks, "a fork: there are two of this size, with different roots")
        require(size <= reach, "the events after position {} are missing, up to {}", reach, size)
        if self.roots.get(size):
            good = self.roots[size] in ((claimed, origin), (claimed, None))
            require(good, "its root or its origin is not that of these events")
            self.proved = max(self.proved, min(size, self.position))
        else:
            self.note("head of size {}: outside of these events, not compared", size)
        return size, signers[0], due != UNKNOWN

    def verdict(self):
        if self.bare:
            words = "of {} payloads nothing but hashes is shown: at {}"
            self.note(words, self.bare, some(self.first_bare))
        self.payloads["withheld"] = sum(count for count, _ in self.hidden.values())
        names = "ledger events first position since until payloads proved notes unreadable".split()
        verdict = {"ok": not (self.findings or self.unreadable)}
        verdict.update((name, getattr(self, name)) for name in names)
        bad = [at for at, _ in self.findings if at]
        if self.findings and not bad and self.proved < self.position:
            bad = [max(self.proved + 1, self.first)]  # it is not known where, and that is unproved
        found = ["position {}: {}".format(*each) if each[0] else each[1] for each in self.findings]
        verdict.update(
            first_bad_position=min(bad, default=None),
            findings=found,
            cannot_show=[
                "that what was recorded is true, or that all that was done was recorded",
                "what came after the newest head that you hold: keep every head you are given",
            ],
        )
        return verdict


def arguments():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("export", nargs="?", help="the export, a line for each event")
    add("--head", action="append", default=[], help="a file with a tree head")
    add("--key", action="append", required=True, type=key_given, help="a verifier key")
    add("--proof", help="a file with the proof of one event")
    add("--line", help="a file with its line, if that is to be checked too")
    add("--json", action="store_true", help="answer in JSON")
    options = parser.parse_args()
    if options.export and not options.proof and not options.head:
        near = "{}.tree-head".format(options.export)
        where = "here is {}".format(near) if Path(near).exists() else "an export comes with one"
        parser.error("give a tree head by --head: {}; better, also one that you kept".format(where))
    if bool(options.export) == bool(options.proof) or (options.proof and options.head):
        parser.error("give EXPORT with --head, or --proof")
    return parser, options


def main():
    parser, options = arguments()
    audit = Audit(options.key)
    try:
        audit.heads = [read(name, head_of, "a tree head") for name in options.head]
        if options.proof:
            line = read(options.line, str.strip, "a line of an export") if options.line else None
            audit.one(read(options.proof, proof_of, "a tlog-proof"), line)
        else:
            near = Path("{}.proof.json".format(options.export))
            part = read(near, part_of, "the proof of a part") if near.exists() else None
            with text_in(Path(options.export).open("rb")) as file:
                audit.export(file, part, str(near))
    except OSError as error:
        parser.error(str(error))
    except (Unreadable, UnicodeError) as error:
        audit.unreadable = str(error)
    except Exception as error:  # whatever it is, nothing is verified
        name = options.proof or options.export
        audit.find(None, "{!a}: {!s:.200}", name, error)
    verdict = audit.verdict()
    if options.json:
        print(json.dumps(verdict, indent=2))
    else:
        for name, value in verdict.items():
            for each in value if isinstance(value, list) else [value]:
                text = ascii(each) if name == "ledger" else str(each)
                print("{:18} {}".format(name, text.encode("ascii", "backslashreplace").decode()))
        failed = "NOT VERIFIED" if audit.findings else "CANNOT BE READ: nothing was verified"
        print("VERIFIED: as recorded and signed" if verdict["ok"] else failed)
    return 3 if audit.findings else 6 if audit.unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
