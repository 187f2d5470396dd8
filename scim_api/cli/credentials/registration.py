"""The options of a client's registration: redirect URIs, and whose assertions it is known by."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import click
import orjson

from scim_api.auth.oauth.clients import NotARedirectUri
from scim_api.auth.oauth.key_sets import KeySetUnfit
from scim_api.auth.oauth.okta import NoAdminConsoleAddress, redirect_uris, unlisted_domain
from scim_api.auth.oauth.trust import ALGORITHMS, TrustUnfit, to_record
from scim_api.cli.console import Console
from scim_api.cli.terminal import note


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda body: reduce(lambda made, option: option(made), reversed(options), body)


redirect_options = _options(
    click.option(
        "--okta",
        metavar="URL",
        help="Address of the app's page in Okta's Admin Console: its redirect URIs are those of"
        " Okta for this app.",
    ),
    click.option(
        "--redirect",
        "redirects",
        metavar="URI",
        multiple=True,
        help="Where a browser may be sent with a code, exactly; can be repeated.",
    ),
)
trust_options = _options(
    click.option("--issuer", metavar="URL", help="Federation: who signs the assertions."),
    click.option("--subject", metavar="TEXT", help="Federation: their subject."),
    click.option(
        "--audience",
        "audiences",
        metavar="TEXT",
        multiple=True,
        help="Federation: an audience they may have, exactly; can be repeated.",
    ),
    click.option("--tenant", metavar="ID", help="Federation: their Microsoft tenant (tid)."),
    click.option("--jwks-url", "jwks_uri", metavar="URL", help="Where their keys are published."),
    click.option(
        "--jwks-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A file of the keys, instead.",
    ),
    click.option(
        "--algorithm",
        "algorithms",
        type=click.Choice(ALGORITHMS),
        multiple=True,
        help="How they may be signed, instead of any of these; can be repeated.",
    ),
)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn what is wrong with a registration into a usage error."""
    try:
        yield
    except (NotARedirectUri, NoAdminConsoleAddress, TrustUnfit, KeySetUnfit) as error:
        raise click.UsageError(str(error)) from None


def trust_of(
    console: Console,
    before: Mapping[str, Any] | None = None,
    *,
    jwks_file: Path | None,
    jwks_uri: str | None,
    **given: Any,
) -> dict[str, Any] | None:
    """Return the trust that the options name, if they name any; raises UsageError.

    What they do not name is as `before`.
    """
    named: dict[str, Any] = {key: value for key, value in given.items() if value}
    if jwks_file or jwks_uri:
        named |= {"jwks": _key_set_in(jwks_file) if jwks_file else None, "jwks_uri": jwks_uri}
    if not named:
        return None
    with usage_errors():
        return to_record(hosts=console.settings.jwks_hosts, **{**(before or {}), **named})


def _key_set_in(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        raise click.UsageError(f"{file} is not JSON: a key set is (RFC 7517 §5)") from None


def redirect_uris_of(okta: str | None, redirects: Sequence[str]) -> list[str]:
    """Return the redirect URIs that the options name; raises UsageError."""
    if okta is None:
        return [*redirects]
    with usage_errors():
        if host := unlisted_domain(okta):
            note(
                f"warning: {host} is in a cell whose redirect URI Okta does not publish; the page"
                " that refuses it shows the one to add with --redirect"
            )
        return [*redirect_uris(okta), *redirects]
