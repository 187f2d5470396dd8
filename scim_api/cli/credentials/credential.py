"""What tokens and clients have in common: networks, pauses, how they are shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from projections.current.credentials import ALL, NOTHING, READS, Credential
from scim_api.auth.networks import NotANetwork, network
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.cli.console import Console, failure_of
from scim_api.cli.terminal import Failure, print_json
from scim_api.tenants.usage import Use

PAUSED = {READS: "reads only", NOTHING: "paused"}


def _network(text: str) -> str:
    try:
        return network(text)
    except NotANetwork as error:
        raise click.UsageError(f"--network: {error}") from None


networks_option = click.option(
    "--network",
    "networks",
    type=_network,
    multiple=True,
    metavar="CIDR",
    help="A network it may be used from (203.0.113.0/24, 2001:db8::/32), instead of any; can be"
    " repeated.",
)
anywhere_option = click.option("--anywhere", is_flag=True, help="It may be used from any network.")


def scopes_option(meaning: str) -> Callable[[Any], Any]:
    """Return the option for the scopes of a new credential."""
    return click.option(
        "--scope",
        "scopes",
        type=click.Choice([str(scope) for scope in Scope]),
        multiple=True,
        default=[str(scope) for scope in DEFAULT],
        show_default=True,
        help=f"{meaning}; can be repeated.",
    )


reads_option = click.option("--reads", is_flag=True, help="Let it go on reading.")


def state_of(credential: Credential, now: str) -> str:
    """Return live, expired or revoked; of one that is paused, how."""
    state = credential.state(now)
    return PAUSED.get(credential.allows, state) if state == "live" else state


Change = Callable[..., bool]  # takes `allows` or `networks`; see auth.credentials.change


def pause(console: Console, name: str, change: Change, *, reads: bool) -> None:
    """Let a credential only read, or nothing at all, until it is resumed."""
    allows, how = (READS, "only reads") if reads else (NOTHING, "is refused everything")
    console.change(change(allows=allows), f"{name} {how}", f"{name} {how} already")


def resume(console: Console, name: str, change: Change) -> None:
    """Let a paused credential do everything again that its scopes allow."""
    console.change(change(allows=ALL), f"{name} works again", f"{name} was not paused")


def allow(
    console: Console, name: str, change: Change, networks: Sequence[str], *, anywhere: bool
) -> None:
    """Set the networks that a credential may be used from; raises UsageError."""
    if anywhere == bool(networks):
        raise click.UsageError("say either --network, once or more, or --anywhere")
    listed = list(dict.fromkeys(networks))
    says = f"{name} may be used from {', '.join(listed) or 'anywhere'}"
    console.change(change(networks=listed), says, f"{says} already")


def say_change(
    console: Console,
    done: tuple[bool, Mapping[str, Exception]],
    now: str,
    before: str,
    again: str,
) -> None:
    """Say what was changed; raises Failure with the ledgers where it could not be."""
    changed, left = done
    if not left:
        console.change(changed, now, before)
        return
    where = "; ".join(f"{name} ({failure_of(console, e).message})" for name, e in left.items())
    sentence = (
        f"{now if changed else before}, but its consents were not reached in: {where}. {again}"
    )
    if console.as_json:
        print_json({"changed": changed, "says": sentence, "left": [*left]})
    raise Failure(sentence)


def last_use(use: Use | None) -> dict[str, Any]:
    """Return how a listing shows the last use of a credential, or that there was none."""
    return {
        "last_used_at": use and use.last_at,
        "last_client": use and use.client,
        "last_address": use and (use.address or None),
    }


def table_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as a table shows them: lists as words, without what no row has."""
    used = {key for row in rows for key, value in row.items() if value not in (None, [], False)}
    return [
        {key: " ".join(x) if isinstance(x, list) else x for key, x in row.items() if key in used}
        for row in rows
    ]
