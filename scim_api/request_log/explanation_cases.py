"""What an explanation says, and which records of the request log it is for."""

from dataclasses import dataclass

from scim_api.request_log.rows import Row


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a record means, and what to do."""

    rule: str
    rfc: str
    okta: str
    next: str


@dataclass(frozen=True, slots=True)
class Case:
    """Which records an explanation is for; None fits any. A status of 200 is any that is 2xx."""

    status: int
    scim_type: str | None = None
    method: str | None = None
    resource_type: str | None = None
    with_id: bool | None = None

    def fits(self, row: Row) -> bool:
        """Tell whether a record is one of these."""
        return (
            (200 if row.status < 400 else row.status, row.scim_type)
            == (self.status, self.scim_type)
            and self.method in (None, row.method)
            and self.resource_type in (None, row.resource_type)
            and self.with_id in (None, row.resource_id is not None)
        )


def means(case: Case, rule: str, rfc: str, okta: str, next: str) -> tuple[Case, Explanation]:
    """Return an entry of the table."""
    return case, Explanation(rule, rfc, okta, next)
