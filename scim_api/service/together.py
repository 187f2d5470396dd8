"""Resources that need each other, created in one transaction: a circle of a bulk request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.events import Metadata
from projections.current.resources import NotUnique
from scim_api.protocol.errors import ScimError
from scim_api.service.create import Enrolment, enrol, taken
from scim_api.service.reader import Answer
from scim_api.service.service import Service


@dataclass(frozen=True, slots=True)
class Creation:
    """One of several resources to be created together."""

    service: Service
    id: str
    body: Any


class Together(Exception):
    """One of several creations cannot be, so none was done: which, and why."""

    def __init__(self, index: int, error: ScimError) -> None:
        super().__init__(error.detail)
        self.index = index
        self.error = error


def create_together(
    creations: Sequence[Creation], metadata: Metadata, expected: Mapping[str, str]
) -> list[Answer]:
    """Create resources of one ledger that refer to each other, in one transaction.

    Raises Together, and then creates none.
    """
    enrolments: list[Enrolment] = []
    for index, creation_ in enumerate(creations):
        try:
            enrolments.append(creation_.service.enrolment(creation_.body, creation_.id, expected))
        except ScimError as error:
            raise Together(index, error) from error
    try:
        return enrol(creations[0].service.record, enrolments, metadata)
    except NotUnique as fault:
        index = [creation_.id for creation_ in creations].index(fault.claimant)
        raise Together(index, taken(enrolments[index].kind.type, fault)) from fault
