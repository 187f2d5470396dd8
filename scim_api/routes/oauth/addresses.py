"""The addresses of the authorization server, below the root of this service."""

BASE = "/oauth"
AUTHORIZE = f"{BASE}/authorize"
TOKEN = f"{BASE}/token"
REVOKE = f"{BASE}/revoke"
METADATA = "/.well-known/oauth-authorization-server"  # RFC 8414 §3

LONGEST_LINE = 65_536  # bytes of the first line of an authorization request: `state` may be long
LONGEST_FORM = 5 * LONGEST_LINE + 4096  # the page's form has `"` of that line as `%2522`
