"""Which family of clients a User-Agent names: the vendor or the tool, without versions."""

import re
from functools import lru_cache

OKTA = "Okta"
UNKNOWN = "unknown"  # no User-Agent
OTHER = "other"

# The first that is found counts. Okta's two are recorded ("Okta SCIM Client 1.0.0", "OKTA SCIM
# Integration"); of the others the vendor's or tool's own name is looked for.
_FAMILIES = tuple(
    (family, re.compile(pattern, re.IGNORECASE))
    for family, pattern in (
        ("CLI", r"^scim-ledger\b"),
        ("browser", r"^mozilla/"),  # Edge and Chrome name Microsoft and Google too
        (OKTA, r"\bokta\b"),
        ("Entra", r"\b(entra|azure|azuread|microsoft)\b"),
        ("OneLogin", r"\bonelogin\b"),
        ("JumpCloud", r"\bjumpcloud\b"),
        ("PingIdentity", r"\b(pingidentity|pingfederate|pingone|ping identity)\b"),
        ("SailPoint", r"\bsailpoint\b"),
        ("Workday", r"\bworkday\b"),
        ("Google", r"\bgoogle\b"),
        ("Postman", r"^postmanruntime\b|\bpostman\b"),
        ("curl", r"^curl\b"),
        ("Python", r"^python\b|\b(urllib|httpx|aiohttp)\b"),
    )
)

FAMILIES = (*dict.fromkeys(name for name, _ in _FAMILIES), OTHER)


@lru_cache(maxsize=256)
def family(user_agent: str) -> str:
    """Return the family of a User-Agent; "other" for a strange one, "unknown" for none."""
    agent = user_agent.strip()
    if agent in ("", UNKNOWN):
        return UNKNOWN
    return next((name for name, pattern in _FAMILIES if pattern.search(agent)), OTHER)
