"""A client of C2SP tlog-tiles as a stranger writes it from the specification: none of our code."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def mth(leaves):
    """Return the Merkle Tree Hash of leaf hashes (RFC 6962 §2.1)."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def in_groups(number):
    """Return a tile's number as it stands in a path."""
    last = f"{number % 1000:03}"
    number //= 1000
    while number:
        last = f"x{number % 1000:03}/{last}"
        number //= 1000
    return last


class Log:
    """A log, audited whole; `fetch` returns the body at a path below its prefix."""

    def __init__(self, fetch, verifier_key):
        self.fetch = fetch
        self.name, self.key_id, encoded = verifier_key.split("+", 2)
        raw = base64.b64decode(encoded)
        assert raw[0] == 1
        digest = hashlib.sha256(self.name.encode() + b"\n" + raw).hexdigest()
        assert digest[:8] == self.key_id
        self.key = Ed25519PublicKey.from_public_bytes(raw[1:])

    def checkpoint(self):
        """Return size and root of the checkpoint, having verified its signature."""
        text, _, signatures = self.fetch("checkpoint").decode().rpartition("\n\n")
        origin, size, root = text.split("\n")
        [line] = [s for s in signatures.splitlines() if s.startswith(f"\u2014 {self.name} ")]
        raw = base64.b64decode(line.rsplit(" ", 1)[1])
        assert raw[:4].hex() == self.key_id
        self.key.verify(raw[4:], f"{text}\n".encode())
        assert origin == self.name
        return int(size), base64.b64decode(root)

    def level(self, level, size):
        """Return all hashes of a level of a tree of a size, from its tiles."""
        return b"".join(self.bundles(str(level), size >> 8 * level))

    def bundles(self, level, hashes):
        for number in range(hashes // 256):
            tile = self.fetch(f"tile/{level}/{in_groups(number)}")
            assert level == "entries" or len(tile) == 8192
            yield tile
        if width := hashes % 256:
            yield self.fetch(f"tile/{level}/{in_groups(hashes // 256)}.p/{width}")

    def entries(self, size):
        """Return the log's entries."""
        found = []
        for bundle in self.bundles("entries", size):
            while bundle:
                end = 2 + int.from_bytes(bundle[:2], "big")
                found.append(bundle[2:end])
                bundle = bundle[end:]
        return found

    def audit(self):
        """Check all: signature, root, each level above the leaves, each entry; return the size."""
        size, root = self.checkpoint()
        leaves = cut(self.level(0, size))
        assert len(leaves) == size
        assert mth(leaves) == root
        level, below = 1, leaves
        while size >> 8 * level:
            below = [mth(below[i : i + 256]) for i in range(0, len(below) // 256 * 256, 256)]
            assert cut(self.level(level, size)) == below
            level += 1
        entries = self.entries(size)
        assert [hashlib.sha256(b"\x00" + entry).digest() for entry in entries] == leaves
        return size


def cut(hashes):
    return [hashes[i : i + 32] for i in range(0, len(hashes), 32)]
