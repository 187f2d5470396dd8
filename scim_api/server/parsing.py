"""gunicorn's parser as the judge of what is a request, given the bytes that have arrived."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.message import MAX_HEADERS, Request
from gunicorn.http.unreader import Unreader

from scim_api.protocol.errors import ScimError
from scim_api.routes.oauth.addresses import AUTHORIZE, LONGEST_LINE

_LONG = f"GET {AUTHORIZE}?".encode()

Headers = list[tuple[str, str]]


class Incomplete(Exception):
    """The bytes that have arrived are no reason to refuse a request, and not all of it."""


class Arrived(Unreader):  # type: ignore[misc]
    """The bytes that have arrived, and then what `more` brings."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.buf.write(data)
        self.more: Callable[[], bytes] = _nothing

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return further bytes, none when there are no more."""
        return self.more()


def _nothing() -> bytes:
    raise Incomplete


MOST_BLOCKS = 8  # that are remembered of a connection: a client has a few kinds of requests


@dataclass(slots=True)
class Block:
    """The headers of an earlier request of the same connection, which later ones repeat."""

    headers: Headers
    environ: dict[str, Any] = field(default_factory=dict)  # what WSGI is told with them


Blocks = dict[tuple[bytes, tuple[int, int]], Block]  # by their bytes and the version of HTTP


class Head(Request):  # type: ignore[misc]
    """A request whose head has arrived; reading its body is another matter."""

    def __init__(self, rules: Any, data: bytes, client: Any, blocks: Blocks) -> None:
        """Read the head; raises Incomplete, and whatever gunicorn refuses a request with."""
        self.block: Block | None = None
        self._blocks = blocks
        self._begins = data[: len(_LONG)]
        self.arrived = Arrived(data)
        super().__init__(rules, self.arrived, client)
        if not (self.block and self.block.environ):
            _must_name_its_host(self)  # else the same headers were taken before
        reader = self.body.reader
        self.chunked = isinstance(reader, ChunkedReader)
        self.length: int = 0 if self.chunked else reader.length

    def parse(self, unreader: Any) -> Any:
        """Read the head; the first line of an authorization request may be longer than others."""
        if self._begins.startswith(_LONG):
            self.limit_request_line = self._fast_limit_request_line = LONGEST_LINE
        return super().parse(unreader)

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> Headers:
        """Return the headers; what was read before need not be read again.

        It depends on nothing but the bytes, the version and who is asking.
        """
        key = data, self.version
        if not from_trailer and (known := self._blocks.get(key)):
            self.block = known
            return known.headers
        headers: Headers = super().parse_headers(data, from_trailer)
        if not (from_trailer or self._expected_100_continue or self.scheme == "https"):
            if len(self._blocks) == MOST_BLOCKS:
                self._blocks.clear()
            self.block = self._blocks[key] = Block(headers)
        return headers

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        return bool(self._expected_100_continue)

    def has_continued(self) -> None:
        """Note that the client was told to send the body."""
        self._expected_100_continue = False


def rules_of(cfg: Any) -> Any:
    """Return what the parser asks of gunicorn's configuration, each setting looked up once."""
    settings = {name: setting.get() for name, setting in cfg.settings.items()}
    fields = (cfg.limit_request_fields or MAX_HEADERS) * (cfg.limit_request_field_size + 2)
    return SimpleNamespace(
        **settings,
        longest_head=cfg.limit_request_line + 2 + fields + 4,  # bytes, however long its first line
        is_ssl=False,
        forwarded_allow_networks=cfg.forwarded_allow_networks,
        proxy_allow_networks=cfg.proxy_allow_networks,
    )


def _must_name_its_host(request: Any) -> None:
    """Refuse a request of HTTP/1.1 without its one Host (RFC 9112 §3.2); raises ScimError."""
    hosts = [value for name, value in request.headers if name == "HOST"]
    if request.version >= (1, 1) and not (len(hosts) == 1 and hosts[0]):
        raise ScimError("host.number", "An HTTP/1.1 request has exactly one Host header.")
