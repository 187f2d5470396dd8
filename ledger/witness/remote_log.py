"""A ledger on another machine, as its log and its API show it; nothing is trusted here."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ledger import merkle
from ledger.http_client import RemoteTrouble, fetch, must_be_url
from ledger.signing.note import MalformedNote, Note, TreeHead, VerifierKey
from ledger.signing.tiles import WIDTH, node_of, tile_in

Document = Mapping[str, Any]


class RemoteLog:
    """The log at an address: a service's own, or that of one log, ending in tlog/..."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Take an address; raises RemoteTrouble if it is none."""
        base = must_be_url(url).rstrip("/")
        if "/tlog" not in base:
            base = f"{base.removesuffix('/ledger/v1')}/ledger/v1/tlog"
        self.prefix = base
        self._api = base.partition("/tlog")[0]
        self._token = token
        self._tiles: dict[str, bytes] = {}

    def checkpoint(self) -> Note:
        """Return the newest head; raises RemoteTrouble."""
        address = f"{self.prefix}/checkpoint"
        try:
            note = Note.parse(fetch(address, token=self._token).decode())
            TreeHead.of(note)
        except (MalformedNote, UnicodeDecodeError) as error:
            why = error if isinstance(error, MalformedNote) else "it is not UTF-8"
            raise RemoteTrouble(f"{address} is not a tree head: {why}") from None
        return note

    def verifier_key(self) -> VerifierKey:
        """Return the key that the service says it signs with; raises RemoteTrouble."""
        address = f"{self._api}/tree-head"
        try:
            return VerifierKey.parse(self._document(address)["verifier_key"])
        except (MalformedNote, KeyError, TypeError, AttributeError):
            raise RemoteTrouble(f"{address} does not have the ledger's verifier key") from None

    def events(self, type_: str) -> list[Document]:
        """Return the newest 1000 events of a type, oldest first; raises RemoteTrouble."""
        address = f"{self._api}/events"
        filter_ = quote(f'type eq "{type_}"')
        query = f"?filter={filter_}&count=1000&sortOrder=descending"
        found = self._document(address + query).get("events")
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise RemoteTrouble(f"{address} does not have a list of events")
        return found[::-1]

    def node(self, size: int) -> merkle.Node:
        """Return the hashes of full parts of the tree of a size, from its tiles."""

        def hashes(level: int, first: int, count: int) -> list[bytes]:
            number, start = divmod(first, WIDTH)
            return merkle.split(self._tile(size, level, number))[start : start + count]

        return node_of(hashes)

    def _tile(self, size: int, level: int, number: int) -> bytes:
        name = tile_in(size, level, number)
        address = f"{self.prefix}/{name}"
        if address not in self._tiles:
            content = fetch(address, token=self._token)
            if len(content) != name.width * merkle.HASH_SIZE:
                raise RemoteTrouble(f"{address} is not {name.width} hashes")
            self._tiles[address] = content
        return self._tiles[address]

    def forget(self) -> None:
        """Forget what was fetched."""
        self._tiles.clear()

    def _document(self, address: str) -> Document:
        try:
            document = json.loads(fetch(address, token=self._token))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise RemoteTrouble(f"{address.partition('?')[0]} did not answer with a JSON object")
        return document
