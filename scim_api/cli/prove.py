"""prove: a proof that an event is in the ledger."""

from pathlib import Path

import click

from ledger.atomic_files import write_whole
from ledger.signing.note import TreeHead
from scim_api.cli.console import Console, command
from scim_api.cli.terminal import Exit, Failure, note


@command("prove", "42", "42 --output 42.tlog-proof")
@click.argument("position", type=click.IntRange(1))
@click.option("--output", type=click.Path(path_type=Path), help="A new file, *.tlog-proof.")
def prove(console: Console, position: int, output: Path | None) -> None:
    """Prove that an event is in the ledger.

    Prints a C2SP tlog-proof under the newest tree head. It can be checked without this program and
    without access to it. The hashed header is in its second line, in base64.
    """
    heads = console.tenant().heads
    end = heads.ledger.last_position()
    if position > end:
        raise Failure(f"there is no event {position:,}; the last one is {end:,}", Exit.NOT_FOUND)
    if output and output.exists():
        raise Failure(f"there is a file at {output} already; nothing was written")
    newest = heads.newest()
    signed = newest if newest and newest.size >= position else heads.sign()
    proof = heads.prove(position, signed)
    if output:
        write_whole(output, proof.text.encode())
        note(f"{output}: event {position} under a tree head")
    else:
        document = {
            "position": position,
            "index": position - 1,
            "size": signed.size,
            "leaf_hash": proof.line.leaf_hash.hex(),
            "root": TreeHead.parse(signed.note).root.hex(),
            "hashes": [each.hex() for each in proof.hashes],
            "header": proof.line.header.decode(),
            "note": signed.note,
        }
        console.document(document, *proof.text.splitlines())
