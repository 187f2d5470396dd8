#!/usr/bin/env python3
"""Check an export of a scim-ledger against signed tree heads, with nothing but Python 3.9 or later.

  python3 verify.py EXPORT.jsonl --head HEAD --key KEY [--head OLDER-HEAD ...]
  python3 verify.py --proof FILE.tlog-proof --key KEY [--line FILE]

KEY is the ledger's verifier key, name+hash+base64: do not take it from who gave you the export.
HEAD is a file with a tree head; give each that you ever kept. For a part of a ledger,
EXPORT.jsonl.proof.json must lie beside it. Exit codes: 0 verified, 3 not verified, 2 usage.

To read it: signature, note, tree, line, then Audit, which puts them together. What the bytes mean
is in docs/ledger-format.md of scim-ledger. Whatever raises an error ends up as a finding.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path


def require(good, words):
    if not good:
        raise ValueError(words)


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
    "((?:\\S+\n){0,60})\n((?s:.*))"
)


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    require(base64.b64encode(data).decode() == text, f"{text!a:.40} is not the only base64 of it")
    return data


def verifier_key(text):
    """Read name+hash+base64(0x01 || public key); return the name, the hash and the public key."""
    name, id_, data = text.split("+", 2)
    typed = unbase64(data)
    hash_ = sha256(name.encode() + b"\n" + typed)[:4]
    good = name and hash_.hex() == id_ and len(typed) == 33 and typed[0] == 1
    require(good, "it is no Ed25519 key, or its hash is another")
    return name, hash_, typed[1:]


def head_of(text):
    """Read a tree head; return its origin, size, root, signed text and signatures."""
    found = NOTE.fullmatch(text)
    require(found, "it is no signed tree head")
    lines = [line.split(" ") for line in found[5].splitlines()]
    signatures = [(name, unbase64(data)) for _, name, data in lines]
    return found[2], int(found[3]), unbase64(found[4]), found[1].encode(), signatures


# Tree (RFC 6962 section 2.1): as it grows to the right, only the roots of whole subtrees are kept,
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


def climb(leaf, index, size, hashes):
    """Return the root over a leaf and the hashes beside its way (section 2.1.1), using them up."""
    if size == 1 or not hashes:
        return leaf
    half, beside = 1 << (size - 1).bit_length() - 1, hashes.pop()  # half: the power of 2 below size
    if index < half:
        return sha256(b"\x01" + climb(leaf, index, half, hashes) + beside)
    return sha256(b"\x01" + beside + climb(leaf, index - half, size - half, hashes))


# Line: an event, of which the payload is shown whole, in part or not at all
WHOLE = {"from": 1, "to": None, "size": None, "left": [], "right": []}  # or EXPORT.proof.json
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


def unhex(text):
    require(bytes.fromhex(text).hex() == text, "a hash or salt is not in its only form")
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
        require(last < index < len(hashes) and path not in shown, "what is shown is not in order")
        entry = sha256(b"\x00" + unhex(salt) + jcs([path, value]))
        require(entry == hashes[index], f"what is shown of {path!a:.80} is not what was recorded")
        last, shown[path] = index, value
    return shown, hashes


class Audit:
    """What is known after each line; it stays small however long the export is."""

    def __init__(self, keys):
        self.keys = {key: [0, 2**63] for key in keys}  # with the sizes that each may sign
        self.heads, self.tree = [], []
        self.roots = {}  # by the sizes of the heads: the root of these events, and their origin
        self.versions, self.hidden = {}, {}  # by stream; hidden: payloads that are not shown
        self.payloads = {"shown": 0, "partly": 0, "withheld": 0, "erased": 0}
        self.findings, self.notes = [], []  # each a position, or None, and words
        self.first = self.position = self.events = self.proved = 0
        self.ledger = self.since = self.until = ""

    def export(self, file, part):
        """Check every line, then every head; part is what EXPORT.jsonl.proof.json holds."""
        require(set(part) == set(WHOLE), "it has not the names from, to, size, left, right")
        push_parts(self.tree, 0, part["from"] - 1, part["left"])
        self.roots = {size: None for _, size, *_ in self.heads}
        self.roots[part["from"] - 1] = root(self.tree), None
        for data in iter(lambda: file.readline(1 << 26), b""):
            self.line(data)
            require(len(self.findings) < 100, "there are more findings; the rest was not read")
        last, size = part["to"] or self.position, part["size"] or self.position
        same = (part["from"], last) == (self.first, self.position)
        require(same, "it must lie beside the export, and be of the same positions")
        push_parts(self.tree, last, size, part["right"])
        if size > last:
            self.roots[size] = root(self.tree), None
        self.judge(size)

    def one(self, proof, line):
        """Check that one event is in a signed tree."""
        found = PROOF.fullmatch(proof)
        require(found, "it is no tlog-proof")
        require(line or found[1], "the event is not in it: give its line with --line")
        index, hashes = int(found[2]), [unbase64(text) for text in found[3].split()]
        self.heads = [head_of(found[4])]
        size = self.heads[0][1]
        self.line(line or jcs({"header": unbase64(found[1]).decode()}))
        words = f"it is of position {index + 1}, the event is at {self.position}"
        require(self.position == index + 1 <= size, words)
        self.roots[size] = climb(root(self.tree), index, size, hashes), None
        require(not hashes, "it has more hashes than the tree needs")
        self.judge(size)

    def line(self, data):
        """Check a line, and that it follows the one before; whatever is wrong is a finding."""
        self.events, self.position, leaf = self.events + 1, self.position + 1, b""
        try:
            line = parse(data.decode())
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
            self.findings.append((self.position, f"bad line: {error!s:.200}"))
        push(self.tree, leaf)
        if self.position in self.roots:
            self.roots[self.position] = root(self.tree), self.ledger

    def follow(self, header):
        """Check that an event follows the one before; no finding hides another."""
        position, stream = header["position"], header["stream"]
        if not self.since:
            self.first = self.position = position
            self.since, self.ledger = header["at"], header["ledger"]
        began = 0 if self.first == 1 else header["version"] - 1  # a part knows no earlier versions
        due = {
            "position": self.position,
            "version": self.versions.get(stream, began) + 1,
            "at": max(self.until, header["at"]),
            "ledger": header["ledger"] if header["type"] == "Restored" else self.ledger,
        }
        for name, value in due.items():
            if header[name] != value:
                what = f"{name} {header[name]!a:.100} stands where {value!a:.100} is due"
                self.findings.append((min(position, self.position), what))
        if (header["type"] == "LedgerOpened") != (position == 1):
            self.findings.append((position, "LedgerOpened is the first event, and no other is"))
        self.position, self.versions[stream] = position, due["version"]
        self.until, self.ledger = header["at"], header["ledger"]

    def payload(self, line, header):
        """Check the commitment; learn from events that forget, or change the key or the name."""
        stream, shown = header["stream"], {}
        if header["type"] == "Erased":
            self.payloads["erased"] += self.hidden.pop(stream, 0)
        if set(line) == {"header"}:
            self.hidden[stream] = self.hidden.get(stream, 0) + 1
        else:
            (shown, hashes), tree = payload_of(line), []
            for hash_ in hashes:
                push(tree, hash_)
            same = (len(hashes), root(tree).hex()) == (header["attributes"], header["commitment"])
            require(same, "commitment: the payload is not what was recorded")
            self.payloads["shown" if "payload" in line else "partly"] += 1
        if header["type"] == "KeyRotated":
            self.notes.append(f"position {self.position}: {self.rotated(header['ledger'], shown)}")
        if header["type"] == "Restored":
            name, how = f"{header['ledger']!a:.100}", self.restored(shown)
            self.notes.append(f"position {self.position}: restored, and now {name}; {how}")

    def rotated(self, ledger, shown):
        """Trust a key, from here on, if one that is trusted vouches for it; and the other way."""
        if not {"size", "old", "new", "signature_old", "signature_new"} <= set(shown):
            return "the key was rotated; to which is not shown: give the new one with --key"
        old, new = shown["old"] or "-", shown["new"]  # a ledger's first key has no old one
        text = f"scim-ledger key rotation\n{ledger}\n{shown['size']}\n{old}\n{new}\n".encode()
        old, new = verifier_key(old) if old != "-" else None, verifier_key(new)
        for key, signature in (old, "signature_old"), (new, "signature_new"):
            good = key is None or signed(key[2], text, unbase64(shown[signature]))
            require(good, f"KeyRotated: {signature} is false")
        if old not in self.keys and new not in self.keys:
            return "the key was rotated from one that you did not give"
        self.keys.setdefault(new, [0, 2**63])[0] = self.position
        if old:
            self.keys.setdefault(old, [0, 2**63])[1] = self.position - 1
        return f"the key was rotated to {shown['new']!a}"

    def restored(self, shown):
        """Trust the key of a new name if a trusted key of the former name signed the change."""
        if not shown.get("signature") or not shown.get("key"):
            return "its former key is not seen to have signed that: you need the new one"
        lines = "scim-ledger recovery", *(shown[n] for n in ("previous", "size", "key"))
        text = "".join(f"{line}\n" for line in (*lines, shown["verifier_key"])).encode()
        old, new = verifier_key(shown["key"]), verifier_key(shown["verifier_key"])
        require(signed(old[2], text, unbase64(shown["signature"])), "Restored: it is not signed")
        if old not in self.keys:
            return "a key that you did not give signed that"
        self.keys.setdefault(new, [self.position, 2**63])
        return "its former key signed that"

    def judge(self, reach):
        """Check every head, the events being known up to a size."""
        for head in self.heads:
            try:
                self.head(*head, reach)
            except ValueError as error:
                self.findings.append((None, f"head of size {head[1]}: {error}"))
        if self.proved < self.position:
            after = self.proved + 1 if self.proved else None
            self.findings.append((after, f"no head proves the events after {self.proved}"))

    def head(self, origin, size, claimed, text, signatures, reach):
        """Check what a head says; what it says of events that were not read is noted only."""
        trusted = False
        for (name, id_, public), (low, high) in self.keys.items():
            for signer, data in signatures:
                if (signer, data[:4]) == (name, id_):  # those of other keys are ignored
                    good = signed(public, text, data[4:])
                    require(good, f"the signature of {name!a:.100} is false")
                    trusted = trusted or (name == origin and low <= size <= high)
        require(trusted, f"no key that you gave, in force then, signed it for {origin!a:.100}")
        forks = {head[2] for head in self.heads if head[:2] == (origin, size)} - {claimed}
        require(not forks, "a fork: there are two of this size, with different roots")
        require(size <= reach, f"the events after position {reach} are missing, up to {size}")
        if not self.roots.get(size):
            self.notes.append(f"head of size {size}: outside of these events, not compared")
            return
        good = self.roots[size] in ((claimed, origin), (claimed, None))
        require(good, "its root or its origin is not that of these events")
        self.proved = max(self.proved, min(size, self.position))

    def verdict(self):
        self.payloads["withheld"] = sum(self.hidden.values())
        names = "ledger events first position since until payloads proved notes".split()
        return {
            "ok": not self.findings,
            **{name: getattr(self, name) for name in names},
            "first_bad_position": min((at for at, _ in self.findings if at), default=None),
            "findings": [f"position {at}: {what}" if at else what for at, what in self.findings],
            "cannot_show": [
                "that what was recorded is true, or that all that was done was recorded",
                "what came after the newest head that you hold: keep every head you are given",
            ],
        }


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("export", nargs="?", help="the export, a line for each event")
    parser.add_argument("--head", action="append", default=[], help="a file with a tree head")
    parser.add_argument(
        "--key", action="append", required=True, type=verifier_key, help="a verifier key"
    )
    parser.add_argument("--proof", help="a file with the proof of one event")
    parser.add_argument("--line", help="a file with its line, if that is to be checked too")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    options = parser.parse_args()
    if bool(options.export) == bool(options.proof) or bool(options.export) != bool(options.head):
        parser.error("give EXPORT with --head, or --proof")
    audit, name = Audit(options.key), options.proof
    try:
        if options.proof:
            line = options.line and Path(options.line).read_bytes()
            audit.one(Path(name).read_bytes().decode(), line)
        for name in options.head:
            audit.heads.append(head_of(Path(name).read_bytes().decode()))
        if options.export:
            name = f"{options.export}.proof.json"
            part = parse(Path(name).read_bytes().decode()) if Path(name).exists() else WHOLE
            with open(options.export, "rb") as file:
                audit.export(file, part)
    except OSError as error:
        parser.error(str(error))
    except Exception as error:  # whatever it is, nothing is verified
        audit.findings.append((None, f"{name!a}: {error!s:.200}"))
    verdict = audit.verdict()
    if options.json:
        print(json.dumps(verdict, indent=2))
    else:
        for name, value in verdict.items():
            for each in value if isinstance(value, list) else [value]:
                print(f"{name:18} {ascii(each) if name == 'ledger' else each}")
        print("VERIFIED: as recorded and signed" if verdict["ok"] else "NOT VERIFIED")
    return 0 if verdict["ok"] else 3


if __name__ == "__main__":
    sys.exit(main())
