"""What the authorization server decides from the newest state, and records before it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ledger.contract import Append, Connection
from ledger.events import Metadata
from scim_api.auth.oauth.errors import OAuthError
from scim_api.tenants.tenants import Tenant

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Decided(Generic[Result]):
    """What is to be recorded, and the result; or the error, which may be recorded as well."""

    result: Result | OAuthError
    appends: Sequence[Append] = ()


def settle(
    tenant: Tenant, decide: Callable[[Connection], Decided[Result]], metadata: Metadata
) -> Result:
    """Decide, record that and return the result; raises the error.

    What needs to be recorded is decided again under the write lock, perhaps in another thread:
    only that counts. A refusal that leaves no trace takes no lock.
    """
    with tenant.ledger.reading() as connection:
        decided = decide(connection)

    def again(connection: Connection) -> Sequence[Append]:
        nonlocal decided
        decided = decide(connection)
        return decided.appends

    if decided.appends:
        tenant.ledger.append((), metadata, decide=again)
    if isinstance(decided.result, OAuthError):
        raise decided.result
    return decided.result
