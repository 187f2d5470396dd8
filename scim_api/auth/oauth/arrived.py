"""What is recorded of how a client asked: names only. No document says what Okta sends."""

from collections.abc import Iterable

_KNOWN = frozenset(
    (
        *("client_id", "redirect_uri", "state", "response_type", "scope", "code_challenge"),
        *("code_challenge_method", "nonce", "prompt", "response_mode", "resource", "audience"),
        *("login_hint", "grant_type", "code", "code_verifier", "client_secret"),
        *("client_assertion", "client_assertion_type"),
    )
)


def arrived(parameters: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of what came that are known: another could be a secret in a wrong place."""
    return {"parameters": sorted(_KNOWN.intersection(parameters))}
