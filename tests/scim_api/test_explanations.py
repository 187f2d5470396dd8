"""Explanations: every refusal there can be has one of its own, and so has what changed nothing."""

import pytest

from scim_api import http
from scim_api.errors import ScimError
from scim_api.request_log.explanations import _OTHER, _TABLE, explain
from scim_api.request_log.rows import Row

ERRORS = [ScimError, *ScimError.__subclasses__()]


def row(status, scim_type=None, *, method="PUT", resource_type=None, resource_id=None):
    found = dict.fromkeys(Row._fields)
    given = {"status": status, "scim_type": scim_type, "method": method}
    return Row(**found | given | {"resource_type": resource_type, "resource_id": resource_id})


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_ours_is_explained(error):
    assert explain(row(error.status, error.scim_type)) is not _OTHER


@pytest.mark.parametrize("status", sorted(http._WORDS))
def test_every_error_of_http_is_explained(status):
    assert explain(row(status)) is not _OTHER


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_changed_nothing_is_explained(status):
    assert "nothing was recorded" in explain(row(status)).rule


def test_a_status_that_nobody_foresaw_is_explained_all_the_same():
    assert explain(row(418)) is _OTHER


def test_what_is_missing_is_explained_for_what_it_is():
    found = {
        explain(row(404, resource_type=type_, resource_id=id_)).next
        for type_, id_ in [("User", "1"), ("Group", "1"), ("User", None), (None, None)]
    }

    assert len(found) == 3


def test_a_name_that_is_taken_is_explained_for_groups_apart():
    user, group = (explain(row(409, "uniqueness", resource_type=t)) for t in ("User", "Group"))

    assert "displayName" in group.rule
    assert "userName" in user.rule


@pytest.mark.parametrize(("case", "explanation"), _TABLE, ids=lambda found: str(found)[:60])
def test_every_entry_of_the_table_can_be_reached(case, explanation):
    own = row(
        case.status,
        case.scim_type,
        method=case.method or "PUT",
        resource_type=case.resource_type,
        resource_id="1" if case.with_id else None,
    )

    assert explain(own) is explanation


@pytest.mark.parametrize(("case", "explanation"), _TABLE, ids=lambda found: str(found)[:60])
def test_every_entry_says_all_four_things(case, explanation):
    assert explanation.rfc.startswith("RFC ")
    assert "§" in explanation.rfc
    for text in (explanation.rule, explanation.okta, explanation.next):
        assert len(text) > 15


def test_a_parameter_that_is_wrong_is_explained_apart_from_a_body():
    assert "parameter" in explain(row(400, "invalidValue", method="GET")).rule
    assert "attribute" in explain(row(400, "invalidValue", resource_type="User")).rule
    assert "members" in explain(row(400, "invalidValue", resource_type="Group")).rule
