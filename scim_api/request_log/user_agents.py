"""What is kept of a User-Agent: no token anywhere, and beside the ledger nothing personal."""

import re

from ledger.user_agents import family

_TOKEN = re.compile(r"scl_[\w%-]*", re.ASCII | re.IGNORECASE)
_PERSONAL = re.compile(
    r"@|%40|\sat\s|scl_"  # an e-mail address, or a token
    r"|\+(?:[ ().-]*\d){7}|(?=\d*[ +]+\d)\d(?:[ +]*\d){6}",  # a telephone number
    re.IGNORECASE,
)


def without_tokens(agent: str) -> str:
    """Return a User-Agent without what looks like a token of ours."""
    return _TOKEN.sub("", agent) if "scl_" in agent.lower() else agent


def known_client(agent: str) -> str:
    """Return a User-Agent, or only its family where it could name a person or hold a token."""
    return family(agent) if _PERSONAL.search(agent) else agent
