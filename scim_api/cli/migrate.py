"""migrate: bring ledgers up to this version of the program."""

from scim_api.cli.console import Console, command
from scim_api.cli.ledgers import Done, attempts, finish
from scim_api.cli.terminal import Exit, note


@command("migrate", ledger=False, json=False)
def migrate(console: Console) -> None:
    """Bring every ledger up to this version of the program.

    Stop the service and make a backup first: docs/upgrading.md says how. A ledger that is up to
    date is not touched. After one that fails the others follow, and the exit code is 1.
    """

    def bring(name: str) -> Done:
        return Done({"name": name}, notes=[", ".join(console.migrate(name)) or "up to date"])

    ended = []
    for name, done in attempts(console, bring):
        note(f"{name}: {'not migrated' if done.code else ''.join(done.notes)}")
        ended.append((name, done))
    if not ended:
        note("no ledger yet; scim-ledger init makes one")
    finish(ended, "migrated", Exit.FAILED)
