"""Commands about a ledger's policy: what is forgiven of its clients, and who needed it."""

from typing import Any, Protocol

import click

from ledger.events import Metadata
from scim_api.auth.credentials import credentials_of
from scim_api.cli.schema import tell
from scim_api.cli.terminal import (
    HELP,
    Group,
    emit,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    read_beside,
)
from scim_api.protocol.policy import PRESETS, TOLERANCES
from scim_api.tenants import configure
from scim_api.tenants.catalogue import POLICY
from scim_api.tenants.tenants import Tenant


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...


@click.group("policy", cls=Group, context_settings=HELP)
@examples("scim-ledger policy show", "scim-ledger policy set entra")
def policy_group() -> None:
    """Choose what is forgiven of clients that depart from RFC 7643 and 7644.

    A token made with --policy has its own instead.
    """


@policy_group.command("show")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger policy show", "scim-ledger policy show --json")
def show_policy(site: Site, ledger: str, as_json: bool) -> None:
    """Show the policy: each setting, what it forgives, in how many requests and of whom."""
    tenant = site.tenant(ledger)
    name = tenant.settings().values.get(POLICY, "okta")
    settings = _settings(tenant)
    if as_json:
        emit({"policy": name, "settings": settings})
        return
    click.echo(f"policy: {name}")
    emit_rows((_row(setting) for setting in settings), False, "no settings")


def _settings(tenant: Tenant) -> list[dict[str, Any]]:
    policy, uses = tenant.catalogue().policy, _uses(tenant)
    return [
        {
            "setting": setting.name,
            "on": setting.name in policy,
            "forgives": setting.forgiven,
            "needed_by": setting.needed_by,
            "otherwise": setting.otherwise,
            "used": uses.get(setting.name, []),
        }
        for setting in TOLERANCES.values()
    ]


def _uses(tenant: Tenant) -> dict[str, list[dict[str, Any]]]:
    names = {credential.id: credential.name for credential in credentials_of(tenant)}
    uses: dict[str, list[dict[str, Any]]] = {}
    for use in read_beside(tenant.usage.tolerance_uses, ()):
        row = {
            "client": use.client,
            "token": names.get(use.credential),
            "requests": use.requests,
            "last_at": use.last_at,
        }
        uses.setdefault(use.name, []).append(row)
    return uses


def _row(setting: dict[str, Any]) -> dict[str, Any]:
    used = setting["used"]
    return {
        "setting": setting["setting"],
        "on": "on" if setting["on"] else "off",
        "requests": sum(use["requests"] for use in used),
        "clients": ", ".join(sorted({use["client"] for use in used})),
        "forgives": setting["forgives"],
    }


@policy_group.command("set")
@click.argument("name", type=click.Choice(list(PRESETS)))
@click.option("--on", multiple=True, metavar="SETTING", help="Forgive this, whatever the policy.")
@click.option("--off", multiple=True, metavar="SETTING", help="Do not forgive this.")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger policy set entra",
    "scim-ledger policy set okta --on adopt",
    "scim-ledger policy set strict --on patch_op_any_case",
)
def set_policy(
    site: Site, name: str, on: tuple[str, ...], off: tuple[str, ...], ledger: str, as_json: bool
) -> None:
    """Set the policy, whole: what an earlier command turned on or off is forgotten."""
    both = sorted(set(on) & set(off))
    if both:
        raise click.UsageError(f"{both[0]} cannot be both on and off")
    overrides = {**dict.fromkeys(on, True), **dict.fromkeys(off, False)}
    tenant = site.tenant(ledger)
    changed = configure.set_policy(tenant, name, overrides, site.metadata("cli"))
    what = f"{name}{_differing(overrides)}"
    tell(as_json, changed, f"the policy is {what}", f"the policy was {what} before")


def _differing(overrides: dict[str, bool]) -> str:
    words = [f"{name} {'on' if on else 'off'}" for name, on in overrides.items()]
    return f" with {', '.join(words)}" if words else ""


COMMANDS: list[click.Command] = [policy_group]
