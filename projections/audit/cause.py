"""The cause of an event: who did it, with which client, from where."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ledger.events import Recorded
from ledger.user_agents import family


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of an event; the fields from its payload are None once that is erased."""

    position: int
    at: str
    type: str
    actor: str
    credential: str | None  # the name of the credential
    operator: str | None  # who typed the command
    client: str | None  # the family of the client
    user_agent: str | None
    address: str | None
    request_id: str | None
    method: str | None
    path: str | None
    via: str
    txn: str

    @property
    def who(self) -> str:
        """Name the credential or the operator; their id where there is no name."""
        return self.credential or self.operator or self.actor

    def document(self) -> dict[str, Any]:
        return asdict(self)


def cause_of(recorded: Recorded, credentials: Mapping[str, str]) -> Cause:
    request = recorded.request
    agent = request.get("client")
    return Cause(
        position=recorded.position,
        at=recorded.at,
        type=recorded.type,
        actor=recorded.actor,
        credential=credentials.get(recorded.actor),
        operator=request.get("operator"),
        client=None if agent is None else family(agent),
        user_agent=agent,
        address=request.get("address"),
        request_id=request.get("id"),
        method=request.get("method"),
        path=request.get("path"),
        via=recorded.via,
        txn=recorded.txn,
    )
