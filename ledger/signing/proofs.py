"""Proofs that an event is in the ledger, as they are given to others (C2SP tlog-proof)."""

import base64
from dataclasses import dataclass
from typing import Any

from ledger.contract import RawEvent
from ledger.signing.tree_heads import SignedHead, TreeHeads

FORMAT = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """An event, a head over it, and the hashes that lead from the one to the other."""

    line: RawEvent
    signed: SignedHead
    hashes: list[bytes]

    @property
    def text(self) -> str:
        """The proof as a file: the header in base64, index, hashes, the signed note."""
        lines = [
            FORMAT,
            f"extra {base64.b64encode(self.line.header).decode()}",
            f"index {self.line.position - 1}",
            *(base64.b64encode(each).decode() for each in self.hashes),
        ]
        return "".join(f"{each}\n" for each in lines) + f"\n{self.signed.note}"

    def document(self) -> dict[str, Any]:
        """Return the proof as JSON has it, hashes in hex."""
        return {
            "position": self.line.position,
            "index": self.line.position - 1,
            "size": self.signed.size,
            "leaf_hash": self.line.leaf_hash.hex(),
            "root": self.signed.head.root.hex(),
            "hashes": [each.hex() for each in self.hashes],
            "header": self.line.header.decode(),
            "note": self.signed.note,
        }


def proof_of(heads: TreeHeads, position: int) -> InclusionProof:
    """Return the proof of an event under the newest head; one is signed if none is over it yet.

    There must be such an event; raises KeyUnusable.
    """
    newest = heads.newest()
    signed = newest if newest and newest.size >= position else heads.sign()
    return proof_under(heads, position, signed)


def proof_under(heads: TreeHeads, position: int, signed: SignedHead) -> InclusionProof:
    """Return the proof of an event under a head that is over it."""
    [line] = heads.ledger.raw_events_at([position])
    return InclusionProof(line, signed, heads.tree.inclusion(position, signed.size))
