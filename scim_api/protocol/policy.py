"""Named tolerances: what is forgiven of a client, each with the client that needs it.

tolerances.json declares them: `on` is the default, which suits Okta and contradicts no RFC. With
all of them off, only what draft-ietf-scim-interop-profile allows is accepted.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A tolerance: what is forgiven, who needs it, and what happens where it is off."""

    name: str
    on: bool
    forgiven: str
    needed_by: str
    otherwise: str


Policy: TypeAlias = frozenset[str]  # the names of the tolerances that are on

_TEXT = files("scim_api.protocol").joinpath("tolerances.json").read_text("utf-8")
TOLERANCES = {each["name"]: Tolerance(**each) for each in json.loads(_TEXT)}

OKTA: Policy = frozenset(name for name, tolerance in TOLERANCES.items() if tolerance.on)
_ODD_SHAPES = {"text_as_list", "list_as_one", "patch_without_operations"}
ENTRA: Policy = OKTA | _ODD_SHAPES | {"replace_at_filter_creates"}
STRICT: Policy = frozenset()

PRESETS: Mapping[str, Policy] = {
    "okta": OKTA,
    "entra": ENTRA,
    "onelogin": OKTA | _ODD_SHAPES | {"core_schema_missing"},
    "authentik": OKTA - {"put_keeps_members"},
    "keycloak": OKTA - {"put_keeps_members"} | {"pagination_left_out"},
    "strict": STRICT,
}


def with_settings(base: Policy, overrides: Mapping[str, bool]) -> Policy:
    """Return a policy with some tolerances turned on or off; raises ValueError for another name."""
    for name in (name for name in overrides if name not in TOLERANCES):
        near = get_close_matches(name, TOLERANCES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"{name} is no setting of a policy.{hint}")
    return base.difference(overrides).union(name for name, on in overrides.items() if on)


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The policy of one request; `record` is called with the name of each tolerance used.

    `base_url` is what the service's own URIs begin with as the client sees them.
    """

    policy: Policy = OKTA
    record: Callable[[str], None] | None = None
    base_url: str = ""

    @property
    def unrecorded(self) -> "Tolerances":
        """The same policy, where a use of it was recorded before or is not the client's."""
        return replace(self, record=None)

    def allow(self, name: str) -> bool:
        """Return whether the policy forgives this; ask only once there is something to forgive."""
        if name not in self.policy:
            return False
        if self.record:
            self.record(name)
        return True
