"""How far a ledger was verified, kept in a small file between two verifications."""

import json
from collections.abc import Iterator
from pathlib import Path

from ledger.atomic_files import write_whole
from ledger.contract import LedgerError
from ledger.verify.event import Finding, short
from ledger.verify.identity import Identity
from ledger.verify.report import Verified
from ledger.verify.tree import Growing

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


def check_memory(since: Verified | None, growing: Growing, identity: Identity) -> Iterator[Finding]:
    """Prove that the events that were verified before are still those."""
    if since is None:
        return
    if since.origin not in (origins := [name for _, name in identity.origins]):
        what = "origin when it was verified last"
        yield Finding(None, what, short(origins[-1]), short(since.origin))
    if since.size > growing.size and growing.whole:
        expected = f"{since.size:,} events, which were verified at {since.at}"
        yield Finding(growing.size + 1, "event", expected, f"{growing.size:,}")
    elif growing.roots.get(since.size, since.root) != since.root:
        what = f"root of the first {since.size:,} events"
        expected = f"{since.root.hex()}, as verified at {since.at}"
        yield Finding(1, what, expected, growing.roots[since.size].hex(), since.size)
