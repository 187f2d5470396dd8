"""Key sets of those who sign assertions (RFC 7517): pasted, or fetched by URL and kept in a file.

The file is next to the ledger and holds public keys only: with it a service that starts while the
URL does not answer still knows them.
"""

import hashlib
import ipaddress
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from ledger import clock
from ledger.atomic_files import write_whole
from ledger.http_client import RemoteTrouble, fetch, must_be_url
from scim_api.logs import LOGGER

TIMEOUT = 5.0  # seconds for the whole answer of a URL, for which one request waits
PAUSE = 30.0  # seconds between two requests for one URL, whatever came of the first
REFRESH = 3600.0  # seconds after which the keys are fetched again, while they are used
OLDEST = 86400.0  # seconds after which they are fetched before they are used
MOST_BYTES = 256 * 1024  # of a key set
MOST_KEYS = 100
RSA_BITS = range(2048, 8193)

Key = RSAKey | ECKey | OKPKey

_MEMBERS: dict[str, tuple[type[Key], tuple[str, ...]]] = {
    "RSA": (RSAKey, ("n", "e")),
    "EC": (ECKey, ("crv", "x", "y")),
    "OKP": (OKPKey, ("crv", "x")),
}
_CURVES = ("P-256", "Ed25519")  # those of the algorithms that a trust may name
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


class KeySetUnfit(Exception):
    """What was given is no key set, or no URL of one; the message says what is needed."""


class KeysUnavailable(Exception):
    """Whether a key is one of a set cannot be known now; it may be in `retry_after` seconds."""

    def __init__(self, says: str, retry_after: int) -> None:
        super().__init__(says)
        self.retry_after = retry_after


# What a key set is


def read_key_set(document: Any) -> tuple[Key, ...]:
    """Return the public keys for signatures in a key set; raises KeySetUnfit for what is none.

    Keys of other types and uses, and those that are malformed or weak, are left out (RFC 7517 §5).
    """
    return tuple(key for each in _keys_in(document) if (key := _public_key(each)))


def must_be_key_set(document: Any) -> dict[str, Any]:
    """Return the public part of a pasted key set, as it is recorded; raises KeySetUnfit."""
    keys = _keys_in(document)
    if any(isinstance(each, dict) and _PRIVATE & each.keys() for each in keys):
        raise KeySetUnfit(
            "the key set holds a private or a shared key, which nobody else should have: give the"
            " public keys only"
        )
    usable = [public for each in keys if _public_key(each) and (public := _public_part(each))]
    if not usable:
        raise KeySetUnfit("the key set holds no key for RSA, ECDSA or Ed25519 signatures")
    return {"keys": usable}


def pasted(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Return the keys of a registration's own key set, read once for many requests."""
    return _read(orjson.dumps(document))


@lru_cache(maxsize=64)
def _read(document: bytes) -> tuple[Key, ...]:
    return read_key_set(orjson.loads(document))


def matching(keys: tuple[Key, ...], kid: str | None) -> tuple[Key, ...]:
    """Return the keys of an id; one without an id may be any (RFC 7517 §4.5: it is optional)."""
    return tuple(key for key in keys if kid is None or key.get("kid", kid) == kid)


def _keys_in(document: Any) -> list[Any]:
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise KeySetUnfit('a key set is a JSON object such as {"keys": [...]}')
    if len(keys) > MOST_KEYS:
        raise KeySetUnfit(f"the key set holds more than {MOST_KEYS} keys")
    return keys


def _public_key(each: Any) -> Key | None:
    """Return a key that verifies signatures; None for any other."""
    public = _public_part(each)
    if public is None:
        return None
    with suppress(JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        if public["kty"] == "RSA" and _bits(public["n"]) not in RSA_BITS:
            return None
        return _MEMBERS[public["kty"]][0].import_key(public)
    return None


def _public_part(each: Any) -> dict[str, Any] | None:
    """Return what of a key is read here, so that nothing else in it can make a difference."""
    kind = each.get("kty") if isinstance(each, dict) else None
    if not isinstance(kind, str) or kind not in _MEMBERS or each.get("use", "sig") != "sig":
        return None
    operations = each.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    names = ("kty", "kid", "alg", *_MEMBERS[kind][1])
    public = {name: each[name] for name in names if name in each}
    fits = all(isinstance(value, str) and value.isprintable() for value in public.values())
    return public if fits and public.get("crv", "P-256") in _CURVES else None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number.encode()), "big").bit_length()


# Where a key set may be fetched


def must_be_key_set_url(url: str, hosts: Collection[str]) -> str:
    """Return an https URL on one of the hosts; raises KeySetUnfit.

    This service sends no request elsewhere, whoever registers a client. A host of this machine
    that is listed may speak http.
    """
    try:
        parts = urlsplit(must_be_url(url))
    except RemoteTrouble as error:
        raise KeySetUnfit(str(error)) from None
    host = parts.hostname or ""
    if host not in hosts:
        raise KeySetUnfit(
            f"keys are fetched from {' and '.join(sorted(hosts)) or 'no host'} only, not from"
            f" {host}: add it to SCIM_JWKS_HOSTS, or give the key set itself"
        )
    if parts.scheme != "https" and not _is_this_machine(host):
        raise KeySetUnfit(f"{host} must be asked for keys by https")
    if parts.fragment or len(url) > 1000:
        raise KeySetUnfit("the URL of a key set has no fragment, and 1,000 characters at most")
    return url


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


# Key sets by URL


@dataclass(slots=True)
class _Kept:
    """A key set as this process knows it."""

    keys: tuple[Key, ...] = ()
    fetched_at: float = -math.inf  # seconds since 1970, as other processes know it too
    stamp: object = None  # of the file that was read
    tried_at: float = -math.inf  # monotonic seconds, of this process alone
    trouble: str | None = None  # why that brought no keys
    fetching: threading.Lock = field(default_factory=threading.Lock)

    def has_trouble(self, url: str, error: Exception) -> None:
        """Note why a URL brought no keys; the log says it once."""
        if self.trouble != str(error):
            _warn("keys not fetched", url, error)
        self.trouble = str(error)


class KeySets:
    """The key sets that are fetched by URL, each kept in a file of its ledger's folder.

    A URL is asked by one request at a time and every half a minute at most; others go on with the
    keys that are known. The one waits for the answer only if its key is not known, or if there was
    none for a day.
    """

    def __init__(self, hosts: Collection[str], timeout: float = TIMEOUT) -> None:
        """`hosts` are those that may be asked."""
        self._hosts, self._timeout = frozenset(hosts), timeout
        self._kept: dict[Path, _Kept] = {}

    def find(self, folder: Path, url: str, kid: str | None) -> tuple[Key, ...]:
        """Return the keys that a key id stands for, all of them if there is none.

        Raises KeysUnavailable where none is known and the URL cannot be asked.
        """
        kept, file = self._known(folder, url)
        self._must_be_allowed(url, kept)
        found, age = matching(kept.keys, kid), _age(kept)
        if found and age < REFRESH:
            return found
        if not kept.fetching.acquire(blocking=False):
            if not found:
                raise KeysUnavailable("the keys are being fetched", 1)
        elif age < PAUSE or time.monotonic() < kept.tried_at + PAUSE:
            kept.fetching.release()
        else:
            kept.tried_at = time.monotonic()
            ask = partial(self._ask, url, kept, file)
            if not (found and age < OLDEST and _is_started(ask)):
                ask()
        found = matching(kept.keys, kid)
        if not found and kept.trouble:
            wait = kept.tried_at + PAUSE - time.monotonic()
            raise KeysUnavailable(kept.trouble, max(1, math.ceil(wait)))
        return found

    def _must_be_allowed(self, url: str, kept: _Kept) -> None:
        """Raise KeysUnavailable for a host that the settings no longer allow, known or not."""
        try:
            must_be_key_set_url(url, self._hosts)
        except KeySetUnfit as error:
            kept.has_trouble(url, error)
            raise KeysUnavailable(str(error), int(PAUSE)) from None

    def _known(self, folder: Path, url: str) -> tuple[_Kept, Path]:
        """Return a set as it was last fetched, by whichever process, and its file."""
        file = file_of(folder, url)
        kept = self._kept.setdefault(file, _Kept())
        stamp = _stamp(file)
        if stamp is not None and stamp != kept.stamp:
            if saved := saved_in(file):
                kept.keys, fetched_at = saved
                kept.fetched_at, kept.trouble = fetched_at.timestamp(), None
            kept.stamp = stamp
        return kept, file

    def _ask(self, url: str, kept: _Kept, file: Path) -> None:
        """Ask a URL and give up the turn, which the caller took.

        What it answered last stays in use where it now answers nothing of use.
        """
        try:
            document = _json(fetch(url, timeout=self._timeout, most=MOST_BYTES))
            now = clock.now()
            kept.keys, kept.fetched_at = read_key_set(document), now.timestamp()
            kept.trouble = None
            _save({"url": url, "fetched_at": clock.timestamp(now)}, document["keys"], kept, file)
        except (RemoteTrouble, KeySetUnfit) as error:
            kept.has_trouble(url, error)
        finally:
            kept.fetching.release()


def file_of(folder: Path, url: str) -> Path:
    """Return the file in a ledger's folder that keeps the keys of a URL."""
    return folder / f"jwks-{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"


def saved_in(file: Path) -> tuple[tuple[Key, ...], datetime] | None:
    """Return the keys in a file and when they were fetched; None where it has no key set."""
    with suppress(OSError, ValueError, KeySetUnfit, TypeError, KeyError, OverflowError):
        saved = orjson.loads(file.read_bytes())
        return read_key_set(saved), clock.from_iso(saved["fetched_at"])
    return None


def _age(kept: _Kept) -> float:
    """Return for how many seconds the keys are known; without end if the clock was put back."""
    age = clock.now().timestamp() - kept.fetched_at
    return age if age >= 0 else math.inf


def _is_started(ask: Callable[[], None]) -> bool:
    """Return whether a thread is to be had for it."""
    try:
        threading.Thread(target=ask, name="keys", daemon=True).start()
    except RuntimeError:
        return False
    return True


def _save(about: Mapping[str, str], keys: Iterable[Any], kept: _Kept, file: Path) -> None:
    public = [part for each in keys if (part := _public_part(each))]
    try:
        write_whole(file, orjson.dumps({**about, "keys": public}))
        kept.stamp = _stamp(file)
    except OSError as error:
        _warn("keys not kept", about["url"], error)


def _warn(what: str, url: str, error: Exception) -> None:
    fields = {"url": url.partition("?")[0], "says": str(error)}
    LOGGER.warning(what, extra={"fields": fields})


def _json(answer: bytes) -> Mapping[str, Any]:
    try:
        return orjson.loads(answer)  # type: ignore[no-any-return]
    except ValueError:
        raise KeySetUnfit("the answer is not JSON") from None


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
