"""A ledger with tree heads and tiles, and changes by somebody who has its file."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import app
from ledger import clock, events
from ledger.codec import canonical, commitment
from ledger.contract import Append
from ledger.create import create
from ledger.events import Event, Metadata
from ledger.merkle import leaf_hash, tree_hash
from ledger.signing import renewal
from ledger.signing.keys import Keys
from ledger.signing.note import Note, Signature, SigningKey, TreeHead
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import Connection, driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.ranges import SPAN

SIZE = 600  # events: two full tiles of leaves, and some

LONG_SIZE = 2 * SPAN + 100
BATCH = 5000
LONG_HEADS = (1, 300, SPAN, SPAN + 1, 2 * SPAN, LONG_SIZE)


def metadata() -> Metadata:
    return Metadata("operator", "test", clock.uuid7(), {"method": "POST"})


def renew(heads: TreeHeads, abandoned: Note | None, metadata: Metadata) -> str:
    """Continue a ledger under a new origin; return that."""
    before = renewal.current(heads.identity())
    former = heads.keys.search(before.key)
    decided = renewal.Renewal(before, former, [abandoned] if abandoned else ())
    return renewal.renew(heads, decided, metadata)


def make(folder: Path) -> Path:
    """Make a ledger of so many events in a folder, with heads of those sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder))
        app.console().create("acme").close()
        tenant = app.console().tenant("acme")
        for upto in (2, 100, 400):
            _fill(tenant, upto)
            tenant.heads.sign()
        tenant.heads.rotate(metadata())  # 401
        _fill(tenant, 402)
        tenant.heads.sign()
        _fill(tenant, SIZE)
        tenant.heads.sign()
        tenant.close()
    return folder / "acme" / "ledger.db"


def _fill(tenant: Any, upto: int) -> None:
    """Append users until there are so many events."""
    first = tenant.ledger.last_position() + 1
    user = [
        Append(f"User-{n:08}", 0, [Event(events.CREATED, {"userName": f"u{n}", "active": True})])
        for n in range(first, upto + 1)
    ]
    if user:
        tenant.ledger.append(user, metadata())


def make_long(folder: Path) -> Path:
    """Make a ledger of three ranges; one stream runs through all of it, the others end at once."""
    path = folder / "acme" / "ledger.db"
    create(path, "acme", software="test", metadata=metadata())
    ledger = SQLiteLedger(path)
    heads = TreeHeads(ledger, Keys(path.parent))
    for upto in sorted({*LONG_HEADS, *range(BATCH, LONG_SIZE, BATCH)}):
        _fill_long(ledger, upto)
        if upto in LONG_HEADS:
            heads.sign()
    ledger.close()
    return path


def _fill_long(ledger: SQLiteLedger, upto: int) -> None:
    first, long = ledger.last_position() + 1, len(ledger.read_stream("Note-long"))
    if first > upto:
        return
    short = [Append(f"User-{n}", 0, [Event(events.CREATED, {"n": n})]) for n in range(first, upto)]
    last = Append("Note-long", long, [Event(events.UPDATED, {"n": upto})])
    ledger.append([*short, last], metadata())


def tamper(path: Path, *changes: Callable[[Connection], object] | str) -> None:
    """Change a file behind its triggers' back: they are dropped and made again as they were."""
    connection = driver.connect(str(path), isolation_level=None)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for change in changes:
        if isinstance(change, str):
            connection.execute(change)
        else:
            change(connection)
    for _, sql in triggers:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.close()


def put_header(connection: Connection, row: int, **changes: object) -> None:
    """Write an event's header, and the columns and the leaf that go with it, with changes."""
    [header] = connection.execute("SELECT header FROM event WHERE position = ?", (row,)).fetchone()
    fields = {**json.loads(header), **changes}
    forged = canonical(fields)
    names = ("position", "id", "stream", "version", "type", "revision", "txn", "actor")
    connection.execute(
        f"UPDATE event SET {', '.join(f'{name} = ?' for name in names)},"
        " recorded_at = ?, header = ?, leaf_hash = ? WHERE position = ?",
        (*(fields[n] for n in names), fields["at"], forged, leaf_hash(forged), row),
    )


def rewrite(position: int, payload: dict[str, object]) -> Callable[[Connection], None]:
    """Rewrite an event so that everything in its rows agrees."""

    def change(connection: Connection) -> None:
        salt = bytes(32)
        connection.execute(
            "UPDATE payload SET body = ?, salt = ? WHERE position = ?",
            (canonical(payload), salt, position),
        )
        hashed = {"attributes": len(payload), "commitment": commitment(payload, salt).hex()}
        put_header(connection, position, **hashed)

    return change


def forge_tiles(connection: Connection) -> None:
    """Recompute the tiles from the current leaves."""
    leaves = _leaves(connection)
    full = [leaves[at : at + 256] for at in range(0, len(leaves) - 255, 256)]
    hashes = b"".join(map(tree_hash, full[:256]))  # of the first tile: no more is needed here
    connection.execute("DELETE FROM tile")
    if hashes:
        connection.execute("INSERT INTO tile VALUES (1, 0, ?)", (hashes,))


def _leaves(connection: Connection) -> list[bytes]:
    rows = connection.execute("SELECT leaf_hash FROM event ORDER BY position")
    return [leaf for (leaf,) in rows]


def cut(after: int) -> Callable[[Connection], None]:
    """Cut the tail off, with all that tells of it in the file."""

    def change(connection: Connection) -> None:
        for table in ("payload", "event"):
            connection.execute(f"DELETE FROM {table} WHERE position > {after}")
        connection.execute(f"DELETE FROM tree_head WHERE size > {after}")
        forge_tiles(connection)

    return change


def put_head(
    number: int, key: SigningKey, *, origin: str = "", size: int = 0, root: bytes = b""
) -> Callable[[Connection], None]:
    """Put a head in place of the one of a number, signed by a key; what is not given is true."""

    def change(connection: Connection) -> None:
        [(note, kept)] = connection.execute(
            "SELECT note, size FROM tree_head WHERE number = ?", (number,)
        )
        of = size or kept
        true = tree_hash(_leaves(connection)[:of])
        head = TreeHead(origin or note.split("\n")[0], of, root or true)
        connection.execute(
            "UPDATE tree_head SET size = ?, note = ? WHERE number = ?",
            (of, str(key.note(head.text)), number),
        )

    return change


def sign_badly(number: int) -> Callable[[Connection], None]:
    """Change a bit of a head's signature."""

    def change(connection: Connection) -> None:
        where = f"WHERE number = {number}"
        [text] = connection.execute(f"SELECT note FROM tree_head {where}").fetchone()
        note = Note.parse(text)
        [signature] = note.signatures
        raw = signature.raw[:-1] + bytes([signature.raw[-1] ^ 1])
        changed = Note(note.text, (Signature(signature.name, raw),))
        connection.execute(f"UPDATE tree_head SET note = ? {where}", (str(changed),))

    return change


def fix_versions(changes: Iterable[tuple[int, int]]) -> Callable[[Connection], None]:
    """Give events other versions, with headers and leaves that fit."""

    def change(connection: Connection) -> None:
        for position, version in changes:
            put_header(connection, position, version=version)

    return change
