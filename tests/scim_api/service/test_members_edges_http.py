"""Members where they do not belong, and races that are not the client's."""

import threading

from ledger.events import MEMBERS_ADDED
from tests.scim_api.client import add, refusal, user

GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"


def test_members_of_a_user_are_no_attribute(api):
    other = api.create("other@example.com")

    response = api.post(user("jane@example.com", members=[{"value": other["id"]}]))

    assert response.status_code == 201
    assert "members" not in response.json
    assert api.types() == ["Created", "Created"]


def test_a_recorded_member_whose_id_is_json_text_stays_can_be_sent_back_and_removed(api):
    told = '[{"value":"id-a"}]'  # earlier programs took such a text for an id
    group = api.group("Staff", "other")
    added = (MEMBERS_ADDED, {f"members:{told}": {"type": "User"}})
    api.site.append("default", f"Group-{group['id']}", 2, added)
    shown, before = api.read(group), api.recorded()

    assert api.put(group, shown).status_code == 200
    assert api.patch(group, add(told, "other")).status_code == 200
    assert api.recorded() == before
    for answer in (
        api.patch(group, add(' {"value":"x"}')),
        api.put(group, shown | {"members": [{"value": '["x"]'}]}),
        api.post(
            {"schemas": [GROUP_URN], "displayName": "G", "members": [{"value": told}]}, "/Groups"
        ),
    ):
        assert refusal(answer)[:2] == (400, "invalidValue")
        assert "JSON text" in refusal(answer)[2]

    remove_it = {"op": "remove", "path": "members", "value": [{"value": told}]}
    assert api.patch(group, remove_it).status_code == 200
    assert api.members(group) == ["other"]


def test_a_group_that_changes_meanwhile_does_not_fail_a_delete_with_if_match(api):
    group = {"schemas": [GROUP_URN], "displayName": "G"}
    path = "/Groups/" + api.post(group, "/Groups").json["id"]
    ended = threading.Event()

    def churn():
        number = 0
        while not ended.is_set():
            number += 1
            operation = {"op": "add", "path": "members", "value": [{"value": f"x{number}"}]}
            body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
            api.ask("PATCH", path, body | {"Operations": [operation]})

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        statuses = []
        for number in range(30):
            created = api.create(f"u{number}@example.com")
            operation = {"op": "add", "path": "members", "value": [{"value": created["id"]}]}
            body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
            api.ask("PATCH", path, body | {"Operations": [operation]})
            deleted = api.delete(created, headers={"If-Match": created["meta"]["version"]})
            statuses.append(deleted.status_code)
    finally:
        ended.set()
        thread.join()

    assert statuses == [204] * 30


def test_names_of_members_are_never_answered_304(api):
    member = api.create("jane@example.com", displayName="Jane")
    group = {"schemas": [GROUP_URN], "displayName": "G", "members": [{"value": member["id"]}]}
    path = "/Groups/" + api.post(group, "/Groups").json["id"]
    headers = {"If-None-Match": api.get(path).headers["ETag"]}

    named = api.get(path, query_string={"attributes": "members.display"}, headers=headers)
    plain = api.get(path, headers=headers)

    assert named.json["members"] == [{"display": "Jane"}]
    assert plain.status_code == 304
