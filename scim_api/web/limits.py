"""What is limited for each credential and each address, and which lines the log leaves out."""

from dataclasses import dataclass
from math import ceil

from scim_api.protocol.errors import TooManyRequests
from scim_api.rates import Rate, memories
from scim_api.settings import Settings
from scim_api.web.proxies import source_of
from scim_api.web.refusal_lines import RefusalLines


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates of a service; one that is None has no limit."""

    requests: Rate | None  # of a credential
    refusals: Rate | None  # of an address
    lines: RefusalLines

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        requests, refusals, lines = memories()
        return cls(
            Rate(settings.request_rate, requests) if settings.request_rate else None,
            Rate(settings.refusal_rate, refusals) if settings.refusal_rate else None,
            RefusalLines(lines),
        )

    def count_request(self, credential: str) -> None:
        """Count a request of a credential, by its id; raises TooManyRequests beyond its rate."""
        if self.requests and (wait := self.requests.take(credential).wait):
            raise _too_many(
                "rate.requests",
                "This credential has sent more requests than one may in a minute"
                " (SCIM_REQUEST_RATE). Repeat this one in {seconds} s.",
                wait,
            )

    def count_refusal(self, address: str) -> TooManyRequests | None:
        """Count a refused attempt; beyond the rate of its address, return what answers it.

        Only attempts that are refused anyway count and are answered so: many clients may share an
        address, and a good credential is never refused for what others tried.
        """
        if not self.refusals or not (wait := self.refusals.take(source_of(address)).wait):
            return None
        return _too_many(
            "rate.refusals",
            "Too many attempts from this address had no valid credential (SCIM_REFUSAL_RATE). Check"
            " the credential, then try again in {seconds} s.",
            wait,
        )


def _too_many(code: str, template: str, wait: float) -> TooManyRequests:
    """Return a refusal that says in how many whole seconds to come again."""
    seconds = ceil(wait)
    return TooManyRequests(code, template, seconds=seconds, headers={"Retry-After": str(seconds)})
