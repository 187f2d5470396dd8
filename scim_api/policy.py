"""Named tolerances: what is forgiven of a client at the door, each with the client that needs it.

Where a tolerance is off, RFC 7643 and 7644 are taken at their word and the request gets a 400.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

Tolerated = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which departures from the RFCs are forgiven; the defaults suit Okta."""

    boolean_strings: bool = True
    """"True" or "false" in quotes, for every boolean attribute: Entra (`active` and
    `roles.primary`), OneLogin's templates, Okta where a custom attribute is mapped as text."""

    empty_means_unassigned: bool = True
    """"" for any attribute, and [] for one that takes a single value, like null: Okta (OIN test
    C9337 pushes empty values), Entra (clears a manager with {"value": ""})."""

    values_as_strings: bool = True
    """"ADMIN", ["ADMIN"] or one object for an attribute that takes a list of objects: Okta where
    roles or entitlements are mapped by their plain name."""

    reference_as_string: bool = True
    """The id alone, or a list of one, for a single object with a `value`: Entra's `manager`."""

    unquoted_filter_literal: bool = True
    """`userName eq someone` without quotes: Entra's samples, the wso2 suite."""

    unknown_attributes_ignored: bool = True
    """Attributes that no schema declares: every client whose mapping is richer than ours."""

    unknown_schemas_ignored: bool = True
    """Other URNs in `schemas`: Entra's 2006 ADSCIM group URN, OneLogin's SCIM 1.0 templates."""

    extension_without_schema: bool = True
    """Attributes of an extension whose URN is missing from `schemas`: hand-written templates."""

    patch_op_any_case: bool = True
    """"Add", "Replace", "Remove": Entra without its aadOptscim062020 flag."""

    patch_dotted_keys: bool = True
    """"name.givenName" or a URN and name as a key of a PATCH value without path: Entra with its
    aadOptscim062020 flag."""

    patch_remove_by_value: bool = True
    """A remove that says in `value` which values go; only those do: Entra, JumpCloud (members)."""

    patch_filter_creates: bool = False
    """An add or replace at `emails[type eq "work"].value` that matches nothing makes the entry:
    Entra. Off for Okta: RFC 7644 §3.5.2.3 asks for noTarget."""


OKTA = Policy()
ENTRA = Policy(patch_filter_creates=True)
STRICT = Policy(**{tolerance.name: False for tolerance in fields(Policy)})


@dataclass(frozen=True, slots=True)
class Door:
    """A policy at work on one request; tells `tolerated` the name of each tolerance used."""

    policy: Policy = OKTA
    tolerated: Tolerated | None = None

    def tolerates(self, setting: str) -> bool:
        """Say whether the policy forgives this; ask only once there is something to forgive."""
        if not getattr(self.policy, setting):
            return False
        if self.tolerated:
            self.tolerated(setting)
        return True
