"""Named tolerances: what is forgiven of a client, each with the client that needs it.

Where all are off, only what draft-ietf-scim-interop-profile allows is let in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches


def _setting(forgiven: str, needed_by: str, otherwise: str, *, on: bool = True) -> bool:
    about = {"forgiven": forgiven, "needed_by": needed_by, "otherwise": otherwise}
    setting: bool = field(default=on, metadata=about)
    return setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is forgiven; the defaults suit Okta and all that contradicts no RFC."""

    # Values

    boolean_strings: bool = _setting(
        '`"True"` or `"false"` in quotes for a boolean, in bodies, paths and filters',
        "Entra (`active`, `roles.primary`), OneLogin's templates, Okta with an attribute"
        " mapped as text",
        "400 invalidValue, in a filter invalidFilter",
    )
    empty_means_unassigned: bool = _setting(
        '`""` for any attribute, and `[]` for one that takes a single value, like null',
        'Okta (OIN test C9337 pushes empty values), Entra (clears a manager with `""`)',
        '`""` is a text; where no text fits, 400 invalidValue',
    )
    values_as_strings: bool = _setting(
        '`["ADMIN"]`, or one object, where a list of objects is due',
        "Okta with roles or entitlements mapped by their plain name",
        "400 invalidValue",
    )
    roles_as_text: bool = _setting(
        '`"ADMIN"`, a text alone, for `roles` or `entitlements`',
        "Okta with these mapped by their plain name, as a text instead of a list",
        "400 invalidValue, as RFC 7643 §2.4 has it",
    )
    text_as_list: bool = _setting(
        '`emails: "a@example.com"`, a text alone where any other list is due',
        "Entra and Microsoft's SCIM Validator (members), OneLogin's templates",
        "400 invalidValue, as RFC 7643 §2.4 has it",
        on=False,
    )
    list_as_one: bool = _setting(
        '`["x"]`, `[{"value": "x"}]` or `[{...}]`, a list of one, where one text, boolean or object'
        " is due",
        "Entra and OneLogin where a mapping yields a list",
        "400 invalidValue",
        on=False,
    )
    json_as_text: bool = _setting(
        "a text that is JSON where an object or a list is due: what it says is read",
        "users of a Java SCIM library, a Keycloak extension",
        "400 invalidValue",
    )
    decimal_strings: bool = _setting(
        '`"0.8"` in quotes for a decimal number of an operator\'s schema, in bodies',
        "clients that write every attribute as text",
        "400 invalidValue",
    )
    base64_in_lines: bool = _setting(
        "line breaks within the base64 of a binary value, as `x509Certificates`",
        "directories that export certificates in lines, as RFC 7643 §8.2 prints one",
        "400 invalidValue, as RFC 4648 §3.3 has it",
    )
    base64_url_alphabet: bool = _setting(
        "base64 in the alphabet for URLs, with `-` and `_`",
        "operators whose schema asks for it in the description of an attribute (RFC 7643 §2.3.6)",
        "400 invalidValue",
        on=False,
    )
    reference_as_string: bool = _setting(
        "`manager` as its id alone or as a list of one; in a filter, `manager eq` for its value",
        "Entra",
        "400 invalidValue, in a filter invalidFilter",
    )
    valueless_entries_removed: bool = _setting(
        "entries of a list whose `value` is empty, with no more than `type`, `primary` or `display`"
        " left: they are removed; emptying what is not there changes nothing",
        "Entra and Okta, which empty an address by its `value`",
        "they stay as they were written, as RFC 7643 §2.4 allows; emptying what is not there is"
        " 400 noTarget",
    )
    manager_id: bool = _setting(
        "`managerId` for the `value` of `manager`, as SCIM 1.1 had it",
        "OneLogin's templates",
        "an unknown attribute",
    )

    # Bodies

    unknown_attributes_ignored: bool = _setting(
        "attributes that no schema declares; in a PATCH with another, known path also operations"
        " whose path names one: they are passed over",
        "every client whose mapping is richer than the schemas",
        "400 invalidValue, of a path invalidPath",
    )
    unknown_schemas_ignored: bool = _setting(
        "URNs in `schemas` of schemas that are not served",
        "Entra (its 2006 ADSCIM group URN), OneLogin",
        "400 invalidValue",
    )
    extension_without_schema: bool = _setting(
        "attributes of an extension whose URN is missing from `schemas`",
        "hand-written templates",
        "400 invalidValue",
    )
    core_schema_missing: bool = _setting(
        "a body, or a PATCH, Bulk or search message, without `schemas`, or one that names SCIM"
        " 1.0 schemas instead of its own",
        "OneLogin's templates, scimgateway",
        "400, as RFC 7643 §3 requires `schemas`",
        on=False,
    )

    # Filters and paths

    unquoted_filter_literal: bool = _setting(
        "`userName eq someone` or `employeeNumber eq 4711`, a text without quotes",
        "Entra's samples, the wso2 suite",
        "400 invalidFilter",
    )
    extension_without_urn: bool = _setting(
        "an extension's attribute by its name alone, as `manager`, in a filter or a path",
        "Entra",
        "400 invalidFilter, in a path invalidPath",
    )
    part_after_brackets: bool = _setting(
        '`emails[type eq "work"].value eq "x"` as a filter: both of the same value',
        "Entra (matching by e-mail address)",
        "400 invalidFilter",
    )
    every_filter_operator: bool = _setting(
        "operators other than `eq` and `and`",
        "RFC 7644 offers them; Entra's samples, sync tools",
        "400 invalidFilter",
    )

    # PATCH

    patch_op_any_case: bool = _setting(
        "`Add`, `Replace`, `Remove`",
        "Entra without its aadOptscim062020 flag",
        "400 invalidSyntax",
    )
    pathless_patch: bool = _setting(
        "add and replace without a path: each key of the value is an attribute",
        "RFC 7644 offers it; Okta's (de)activation, Entra with its flag",
        "400 invalidSyntax",
    )
    patch_dotted_keys: bool = _setting(
        "`name.givenName`, a URN with a name, or a path with a filter as a key of such a value",
        "Entra with its flag",
        "400 invalidValue",
    )
    read_only_in_value: bool = _setting(
        "another value for what is readOnly, as `id`, `meta` or `groups`, in the value of a PATCH"
        " without a path: it is passed over",
        "Okta, and others that send back what they read",
        "400 mutability, as RFC 7644 §3.5.2 has it",
    )
    patch_without_operations: bool = _setting(
        "`Operations: []`, which changes nothing",
        "Microsoft's SCIM Validator",
        "400 invalidSyntax, as RFC 7644 §3.5.2 has it",
        on=False,
    )
    patch_remove_by_value: bool = _setting(
        "a remove that says in `value` which values of a list go, of those that its path finds:"
        " only those do; with the path of a single value it is passed over",
        "Entra and JumpCloud (members)",
        "400 invalidValue",
    )
    add_at_filter_creates: bool = _setting(
        'an add at `emails[type eq "work"].value` that finds no such value makes it',
        "Entra",
        "400 noTarget",
    )
    replace_at_filter_creates: bool = _setting(
        "a replace does, too",
        "Entra",
        "400 noTarget, as RFC 7644 §3.5.2.3 has it",
        on=False,
    )

    # Groups, and users that come back

    put_keeps_members: bool = _setting(
        "a PUT of a group without `members`: it keeps those it has",
        "Okta, Entra and others that read groups without their members",
        "the group has no members afterwards",
    )
    null_keeps_members: bool = _setting(
        'null or `""` for the members of a group, in a PUT or replaced by a PATCH: it keeps those'
        " it has, and only a list replaces them",
        "clients whose serializer writes null for what they do not know",
        "the group has no members afterwards",
    )
    unknown_members_kept: bool = _setting(
        "members that are not known here (yet): the others are taken, these are recorded",
        "Okta's group push",
        "400 invalidValue, and nothing is changed",
    )
    adopt: bool = _setting(
        "a POST of a user that is there but inactive, with the same userName and externalId:"
        " it is reactivated",
        "Okta, where a user was deactivated behind its back",
        "409 uniqueness",
        on=False,
    )

    # Discovery

    pagination_left_out: bool = _setting(
        "a client that refuses `pagination` (RFC 9865) in ServiceProviderConfig: it is left out",
        "Canaille up to 0.3.6, programs on the UnboundID SCIM 2 SDK up to 4.1 or scim2-models up"
        " to 0.9",
        "`pagination` is announced",
        on=False,
    )

    @property
    def interop_profile(self) -> bool:
        """Whether nothing is forgiven, as draft-ietf-scim-interop-profile has it."""
        return not any(getattr(self, setting.name) for setting in fields(self))


OKTA = Policy()
ENTRA = Policy(
    text_as_list=True,
    list_as_one=True,
    patch_without_operations=True,
    replace_at_filter_creates=True,
)
ONELOGIN = Policy(
    text_as_list=True, list_as_one=True, patch_without_operations=True, core_schema_missing=True
)
AUTHENTIK = Policy(put_keeps_members=False)
KEYCLOAK = Policy(put_keeps_members=False, pagination_left_out=True)
STRICT = Policy(**{setting.name: False for setting in fields(Policy)})

PRESETS: Mapping[str, Policy] = {
    "okta": OKTA,
    "entra": ENTRA,
    "onelogin": ONELOGIN,
    "authentik": AUTHENTIK,
    "keycloak": KEYCLOAK,
    "strict": STRICT,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A tolerance in words: what is forgiven, who needs it, what comes of it where it is off."""

    name: str
    forgiven: str
    needed_by: str
    otherwise: str


def described() -> list[Setting]:
    """Return every setting of a policy in words, in the order of the declarations."""
    return [Setting(setting.name, **setting.metadata) for setting in fields(Policy)]


def with_settings(base: Policy, overrides: Mapping[str, bool]) -> Policy:
    """Return a policy with some settings changed; raises ValueError for a name it does not know."""
    names = [setting.name for setting in fields(Policy)]
    for name in overrides:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ValueError(f"{name} is no setting of a policy.{hint}")
    return replace(base, **overrides)


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

    def allow(self, setting: str) -> bool:
        """Return whether the policy forgives this; ask only once there is something to forgive."""
        if not getattr(self.policy, setting):
            return False
        if self.record:
            self.record(setting)
        return True
