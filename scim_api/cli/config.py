"""config: the settings."""

import os

from scim_api import settings
from scim_api.cli.console import Console, command, group
from scim_api.cli.terminal import note

config = group("config", "Show the settings of the service.")


@command("show", "", "--json", group=config, ledger=False)
def show_config(console: Console) -> None:
    """Show every setting: its value, its source, its default and its meaning."""
    for sentence in settings.unknown(os.environ):
        note(f"warning: {sentence}")
    console.rows(settings.described(console.settings, os.environ), "no settings")
