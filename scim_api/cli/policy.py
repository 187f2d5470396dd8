"""policy: which departures from the RFCs are tolerated, and which clients made use of that."""

from typing import Any

import click

from scim_api.auth.credentials import names_of
from scim_api.cli.console import Console, command, group
from scim_api.cli.terminal import print_table, read_side_file
from scim_api.protocol.policy import PRESETS, TOLERANCES
from scim_api.tenants import configure
from scim_api.tenants.catalogue import POLICY
from scim_api.tenants.tenants import Tenant

policy = group(
    "policy",
    """Choose which departures from the RFCs are tolerated.

    A token made with --policy uses its own policy instead.
    """,
)


@command("show", "", "--json", group=policy)
def show_policy(console: Console) -> None:
    """Show the policy's settings and which clients used them."""
    tenant = console.tenant()
    name = tenant.settings().values.get(POLICY, "okta")
    settings = _settings(tenant)
    console.document({"policy": name, "settings": settings}, f"policy: {name}")
    if not console.as_json:
        print_table(map(_row, settings))


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
    names = names_of(tenant)
    uses: dict[str, list[dict[str, Any]]] = {}
    for use in read_side_file(tenant.usage.tolerance_uses, ()):
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


@command("set", "entra", "okta --on adopt", "strict --on patch_op_any_case", group=policy)
@click.argument("name", type=click.Choice(list(PRESETS)))
@click.option("--on", multiple=True, metavar="SETTING", help="Tolerate this as well.")
@click.option("--off", multiple=True, metavar="SETTING", help="Do not tolerate this.")
def set_policy(console: Console, name: str, on: tuple[str, ...], off: tuple[str, ...]) -> None:
    """Set the whole policy: a preset, and what differs from it.

    What an earlier command turned on or off no longer applies.
    """
    if both := sorted(set(on) & set(off)):
        raise click.UsageError(f"{both[0]} cannot be both on and off")
    overrides = {**dict.fromkeys(on, True), **dict.fromkeys(off, False)}
    changed = configure.set_policy(console.tenant(), name, overrides, console.metadata())
    words = [f"{name} {'on' if on else 'off'}" for name, on in overrides.items()]
    what = f"{name} with {', '.join(words)}" if words else name
    console.change(changed, f"the policy is {what}", f"the policy was {what} before")
