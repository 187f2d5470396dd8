"""Which requests are answered only when something happens, and so get threads of their own."""

from urllib.parse import unquote

BASE = "/ledger/v1"


def waits(path: str, query: str) -> bool:
    """Return whether a request, as it stands on its first line, may take as long as it likes."""
    if "ledger" not in path and "%" not in path:
        return False  # by far the most
    segments = [part for part in unquote(path).split("/") if part]
    address = "/" + "/".join(segments)
    if address == f"{BASE}/feed":
        return True
    return address == f"{BASE}/events" and "wait" in unquote(query)
