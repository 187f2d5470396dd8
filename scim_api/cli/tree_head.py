"""tree-head: signatures over all events so far."""

from typing import Any

from ledger.contract import StoredHead
from ledger.signing.note import TreeHead
from ledger.signing.tree_heads import TreeHeads
from scim_api.cli.console import Console, command, group
from scim_api.cli.terminal import Exit, Failure, note

tree_head = group(
    "tree-head",
    """Sign and show heads: signatures over all events so far.

    Whoever keeps one can later check whether an event before it was changed.
    """,
)


@command("show", "", "--json", group=tree_head)
def show_head(console: Console) -> None:
    """Print the newest head, a signed note to keep in a file."""
    heads = console.tenant().heads
    newest = heads.newest()
    if newest is None:
        raise Failure("no tree head was signed yet; scim-ledger tree-head create", Exit.NOT_FOUND)
    _show(console, heads, newest)


@command("create", group=tree_head)
def create_head(console: Console) -> None:
    """Sign a head over all events now, unless the newest one is.

    Then the newest one is printed.
    """
    heads = console.tenant().heads
    signed = heads.sign()
    console.deliver()
    _show(console, heads, signed)


def _show(console: Console, heads: TreeHeads, signed: StoredHead) -> None:
    key = heads.key_of(signed)
    document = {**_record(signed), "note": signed.note, "verifier_key": str(key)}
    console.document(document, *signed.note.splitlines())
    note(f"signed at {signed.signed_at}; verifier key: {key}")


@command("list", "", "--json", group=tree_head)
def list_heads(console: Console) -> None:
    """List all heads, oldest first."""
    console.rows(map(_record, console.tenant().heads.every()), "no tree head was signed yet")


def _record(signed: StoredHead) -> dict[str, Any]:
    head = TreeHead.parse(signed.note)
    return {
        "number": signed.number,
        "origin": head.origin,
        "size": signed.size,
        "root": head.root.hex(),
        "signed_at": signed.signed_at,
    }
