"""The addresses of the authorization server, below the root of this service."""

BASE = "/oauth"
AUTHORIZE = f"{BASE}/authorize"
TOKEN = f"{BASE}/token"
REVOKE = f"{BASE}/revoke"
METADATA = "/.well-known/oauth-authorization-server"  # RFC 8414 §3

LONGEST_LINE = 65_536  # bytes of the first line of an authorization request: `state` may be long
