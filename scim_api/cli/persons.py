"""What erase and hold share: who is meant, and the codes that say why."""

from typing import Any

import click

from ledger.erasure import Hold, is_short_form
from scim_api.cli.lookup import absent
from scim_api.cli.terminal import Exit, Failure
from scim_api.erasure import erase as erasing
from scim_api.erasure.erase import USER, NoSuchPerson, SeveralPersons
from scim_api.tenants.tenants import Tenant


class ShortForm(click.ParamType[str]):
    """A code or a ticket number: too short to name a person by accident."""

    name = "short form"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if not is_short_form(value):
            self.fail("is 1 to 64 letters, digits and . _ : # / -, without spaces", param, ctx)
        return str(value)


def find_person(tenant: Tenant, user: str) -> str:
    """Return the id of a user, deleted or not; raises Failure."""
    try:
        return erasing.find(tenant, user)
    except SeveralPersons as error:
        raise Failure(f"{error}; choose one by its id") from None
    except NoSuchPerson:  # the userName of an erased user is in no file any more
        pending = tenant.ledger.unfinished_erasures().values()
        ids = ", ".join(stream.partition("-")[2] for stream in pending)
        hint = f"; an erasure is not finished: scim-ledger erase {ids} finishes it" if ids else ""
        raise Failure(f"{absent(USER, user).message}{hint}", Exit.NOT_FOUND) from None


def hold_document(each: Hold) -> dict[str, Any]:
    """Return a legal hold as JSON has it."""
    return {
        "id": each.subject,
        "ticket": each.why.ticket,
        "reason": each.why.reason,
        "since": each.at,
        "position": each.position,
    }
