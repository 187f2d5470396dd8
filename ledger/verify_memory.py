"""How far a ledger was verified, kept in a small file between two verifications."""

import json
from pathlib import Path

from ledger.durable import write_whole
from ledger.store import LedgerError
from ledger.verify_report import Verified

FILE = "verified.json"


def recall(path: Path) -> Verified | None:
    """Return what a file remembers, None where there is none; raises LedgerError."""
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_bytes())
        verified = Verified(
            origin=kept["origin"],
            size=kept["size"],
            root=bytes.fromhex(kept["root"]),
            head=kept["tree_head"],
            at=kept["verified_at"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(_no_memory(path)) from error
    texts = (verified.origin, verified.at)
    numbers = (verified.size, verified.head)
    if {type(each) for each in texts} != {str} or {type(each) for each in numbers} != {int}:
        raise LedgerError(_no_memory(path))
    return verified


def _no_memory(path: Path) -> str:
    return (
        f"{path} does not tell how far the ledger was verified; delete it, and everything is read"
        " again"
    )


def remember(path: Path, verified: Verified) -> None:
    """Write down how far a ledger was verified."""
    kept = {
        "origin": verified.origin,
        "size": verified.size,
        "root": verified.root.hex(),
        "tree_head": verified.head,
        "verified_at": verified.at,
    }
    write_whole(path, f"{json.dumps(kept, indent=2)}\n".encode())
