"""What a verification is asked for, what it found, and what no verification can show."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from ledger import owners
from ledger.atomic_files import write_whole
from ledger.contract import LedgerError, StoredHead
from ledger.findings import Finding, Kind
from ledger.signing.key_rule import Restore
from ledger.signing.known_heads import HeadSources
from ledger.signing.note import KnownHead, VerifierKey
from ledger.verify.heads import parse

MEMORY_FILE = "verified.json"

# What no look at a ledger shows, however long.
NOT_SHOWN = (
    "events cut off, added or replaced after the newest tree head that somebody else holds:"
    " heads in the file and signing.head can be removed with them",
    "a whole ledger replaced, with its heads, by somebody who has its key, or by one with"
    " another key",
    "whether what clients sent was true",
    "what was done without this program, so that no event records it",
)


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a ledger was verified before: the root over its first `size` events."""

    origin: str
    size: int
    root: bytes
    head: int  # the number of the last tree head that was checked
    at: str

    @classmethod
    def read(cls, path: Path) -> "Verified | None":
        """Return what a file remembers, None where there is none; raises LedgerError."""
        try:
            kept = json.loads(path.read_bytes())
            root = bytes.fromhex(kept["root"])
            found = cls(kept["origin"], kept["size"], root, kept["tree_head"], kept["verified_at"])
            if [type(each) for each in astuple(found)] != [str, int, bytes, int, str]:
                raise TypeError
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(owners.unreadable(path, error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"{path} does not tell how far the ledger was verified; delete it, and everything"
                " is read again"
            ) from error
        return found

    def write(self, path: Path) -> None:
        kept = {
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "tree_head": self.head,
            "verified_at": self.at,
        }
        write_whole(path, f"{json.dumps(kept, indent=2)}\n".encode())


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked beyond the file itself.

    `brought` are heads from outside, `own` the one that the ledger's key signed last, `keys` those
    that are trusted whatever the ledger says; `since` is how far not to read again; with `copy`
    the file may be older than heads that are brought. `sources` are asked for more heads.
    `processes` is how many to work in, by default one for each core where there is enough to do.
    """

    brought: Sequence[KnownHead] = ()
    own: KnownHead | None = None
    keys: Sequence[VerifierKey] = ()
    since: Verified | None = None
    copy: bool = False
    sources: HeadSources = field(default_factory=HeadSources)
    processes: int | None = None

    @property
    def from_outside(self) -> list[KnownHead]:
        """All heads that are not from the ledger's file."""
        return [*self.brought, *([self.own] if self.own else [])]


@dataclass(frozen=True, slots=True)
class Compared:
    """How projections differ from a rebuild, a finding each; where each stands that was compared.

    One that stands for nothing was not: `missing` says so, a sentence each.
    """

    faults: Sequence[Finding] = ()
    standing: Mapping[str, int] = field(default_factory=dict)
    missing: Sequence[str] = ()


@dataclass(slots=True)
class Report:
    """What a verification read and found; `findings` are in order of position, cut at 100.

    `size` and `root` are of the whole tree, where it could be built; `restores` are the ends of
    former origins, `held` the heads that others hold; `skipped` counts events of which only the
    leaf hash was read; `notes` are of what is no fault; `migrated` is False where an earlier
    version made the tables: what it had none for was not checked.
    """

    path: Path
    origin: str = ""
    events: int = 0
    payloads: int = 0
    erased: int = 0
    erasures: int = 0
    skipped: int = 0
    heads: int = 0
    newest: StoredHead | None = None
    restores: Sequence[Restore] = ()
    held: Sequence[KnownHead] = ()
    size: int = 0
    root: bytes | None = None
    migrated: bool = True
    compared: Compared = field(default_factory=Compared)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.findings

    @property
    def sound(self) -> bool:
        """Whether the ledger is what it says; what follows from its events can be made again."""
        return all(each.kind in (Kind.TILES, Kind.PROJECTION, Kind.LOST) for each in self.findings)

    @property
    def first_bad_position(self) -> int | None:
        """The lowest position that a finding names.

        Where a stretch begins does not count if an event in it is wrong by itself, or missing: a
        key or a name that does not fit may follow from what happened to an event before it.
        """
        placed = [(f.position, f) for f in self.findings if f.position is not None]
        exact = [
            at
            for at, f in placed
            if f.kind in (Kind.EVENT, Kind.MISSING, Kind.LOST) and not f.is_stretch
        ]

        def counts(first: int, last: int | None) -> bool:
            return last is None or not any(first <= at <= last for at in exact)

        stretches = [(at, f.last if f.is_stretch else None) for at, f in placed]
        return min((first for first, last in stretches if counts(first, last)), default=None)

    @property
    def newest_head(self) -> dict[str, Any] | None:
        """The newest of the ledger's own heads, where there is one that can be read."""
        if self.newest is None:
            return None
        parsed = parse(self.newest)
        root = None if isinstance(parsed, Finding) else parsed[1].root.hex()
        return {"size": self.newest.size, "root": root, "signed_at": self.newest.signed_at}
