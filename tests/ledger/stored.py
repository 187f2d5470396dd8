"""A ledger's file made of the lines of an export, whatever they say."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ledger.codec import canonical
from ledger.merkle import leaf_hash
from ledger.signing.note import TreeHead
from ledger.sqlite import schema
from ledger.sqlite.connection import connect

_COLUMNS = "position id stream version type revision at txn actor".split()


def store(path: Path, lines: Sequence[dict[str, Any]], heads: Sequence[str], origin: str) -> None:
    """Write events, tree heads and a name into a new file, by its own triggers."""
    path.touch()
    with closing(connect(path)) as connection:
        schema.migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        for line in lines:
            header, raw = json.loads(line["header"]), line["header"].encode()
            row = (*(header[name] for name in _COLUMNS), raw, leaf_hash(raw))
            connection.execute(f"INSERT INTO event VALUES ({', '.join('?' * len(row))})", row)
            body = (header["position"], bytes.fromhex(line["salt"]), canonical(line["payload"]))
            connection.execute("INSERT INTO payload VALUES (?, ?, ?, NULL)", body)
        opened_at = json.loads(lines[0]["header"])["at"]
        connection.execute("INSERT INTO ledger VALUES (1, ?, ?, 1)", (origin, opened_at))
        for number, note in enumerate(heads, 1):
            row = (number, TreeHead.parse(note).size, opened_at, note)
            connection.execute("INSERT INTO tree_head VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")
