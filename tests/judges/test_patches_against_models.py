"""Random PATCH operations on random users have the same result as in scim2-models.

Wider than tests/scim_api/protocol/patch/test_patch_properties.py: the schemas are our own, paths
may be broken or read-only, values may not fit, and the scimType of an error counts.
"""

import copy
import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import Context, Error, PatchOp, SCIMException

from scim_api.protocol.body import load_resource
from scim_api.protocol.errors import ScimError
from scim_api.protocol.patch.message import PATCH_URN, patched
from scim_api.protocol.policy import STRICT, Tolerances, with_settings
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN
from tests.judges import requests_drawn as drawn
from tests.judges.excuses import excuse_of
from tests.judges.models import UserModel
from tests.judges.pair import RFC, Asked, keeping_active, normal

EXAMPLES = int(os.environ.get("JUDGES_EXAMPLES", "1"))
POLICY = with_settings(STRICT, dict.fromkeys(RFC, True))
PROPERTY = settings(
    max_examples=200 * EXAMPLES,
    derandomize=EXAMPLES == 1,
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


@dataclass(frozen=True)
class Outcome:
    """The user after a PATCH, or the scimType of the error."""

    body: Any = None
    scim_type: str | None = None

    @property
    def good(self) -> bool:
        return self.scim_type is None

    @property
    def status(self) -> int:
        return 200 if self.good else 400


def document_of(state: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"schemas": [USER_URN]}
    for key, value in state.items():
        if key.startswith(ENTERPRISE_URN):
            body.setdefault(ENTERPRISE_URN, {})[key.removeprefix(f"{ENTERPRISE_URN}:")] = value
        else:
            body[key] = value
    if ENTERPRISE_URN in body:
        body["schemas"] = [USER_URN, ENTERPRISE_URN]
    return copy.deepcopy(body)


def ours(state: dict[str, Any], message: dict[str, Any]) -> Outcome:
    try:
        return Outcome(normal(document_of(patched(USER, state, message, Tolerances(POLICY)))))
    except ScimError as error:
        return Outcome(scim_type=error.scim_type)


def theirs(state: dict[str, Any], message: dict[str, Any]) -> Outcome:
    user = UserModel.model_validate(document_of(state))
    try:
        patch = PatchOp[UserModel].model_validate(message, scim_ctx=Context.RESOURCE_PATCH_REQUEST)
        patch.patch(user)
    except SCIMException as error:
        return Outcome(scim_type=error.scim_type)
    except ValidationError as error:
        return Outcome(scim_type=Error.from_validation_errors(error)[0].scim_type)
    return Outcome(normal(user.model_dump()))


# Each is tried on the same user: a rule that is a little wrong is so for few of them.
TRIED = st.lists(st.lists(drawn.operations(), min_size=1, max_size=2), min_size=8, max_size=8)


@PROPERTY
@given(drawn.sound_users, TRIED)
def test_a_patch_has_the_same_result_as_in_scim2_models(
    user: dict[str, Any], tried: list[list[dict[str, Any]]]
) -> None:
    try:
        state = {"active": True} | load_resource(USER, user, Tolerances(POLICY))
    except ScimError:
        assume(False)

    for operations in tried:
        message = {"schemas": [PATCH_URN], "Operations": operations}
        kept = message | {"Operations": list(keeping_active(state["active"], operations))}
        answers = ours(state, message), theirs(state, kept)

        if answers[0] != answers[1]:
            assert excuse_of(Asked("PATCH", "/Users/1", message), *answers), (state, *answers)
