"""Our service and a scim2-server give the same answers to the same conversation.

Where the two disagree, docs/disagreements.md says who is right by the RFC, and a predicate of that
name, in excuses.py, excuses it here.
"""

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.judges import requests_drawn as drawn
from tests.judges.excuses import changes_nothing, excuse_of
from tests.judges.pair import Asked, Pair, created
from tests.scim_api.client import Site
from tests.scim_api.schemes import Judged

EXAMPLES = int(os.environ.get("JUDGES_EXAMPLES", "1"))
TALKS = settings(
    max_examples=150 * EXAMPLES,
    derandomize=EXAMPLES == 1,
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
METHODS = "POST POST PUT PATCH PATCH GET LIST SEARCH DELETE".split()
WHERE = st.sampled_from(["/Users", "/Users", "/Users", "/Groups", "/Roles", "/Entitlements"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("pair") / "data", SCIM_LOG_LEVEL="error")
    yield Pair(Judged(site.make()))
    site.close()


class Talk:
    """A conversation drawn step by step: later requests use resources of earlier ones."""

    def __init__(self, pair, data):
        self.pair, self.data = pair, data
        self.ids = {"/Users": ["u0"], "/Groups": ["g0"], "/Roles": ["r0"], "/Entitlements": ["e0"]}
        pair.clear()

    def draw(self, strategy):
        return self.data.draw(strategy)

    def any_id(self, endpoint):
        known = self.ids[endpoint]
        return self.draw(st.sampled_from(known[1:] * 4 + known[:1]))  # the first is nobody's

    def body(self, endpoint):
        if endpoint == "/Users":
            return self.draw(drawn.users)
        if endpoint == "/Groups":
            return self.draw(drawn.groups(st.sampled_from(self.ids["/Users"])))
        return self.draw(drawn.bodies[endpoint])

    def operation(self, endpoint):
        if endpoint == "/Groups":
            return drawn.group_operations(st.sampled_from(self.ids["/Users"]))
        return drawn.operations() if endpoint == "/Users" else drawn.grantable_operations()

    def request(self):
        if self.draw(st.integers(0, 9)) == 9:
            return self.draw(st.sampled_from([self.bulk, self.search_of_all]))()
        endpoint = self.draw(WHERE)
        method = self.draw(st.sampled_from(METHODS))
        if method == "POST":
            return Asked("POST", endpoint, self.body(endpoint))
        if method == "LIST":
            return Asked("GET", endpoint, query=self.draw(drawn.queries))
        if method == "SEARCH":
            return Asked("POST", f"{endpoint}/.search", search_body(self.draw(drawn.queries)))
        asked = Asked(method, f"{endpoint}/{self.any_id(endpoint)}")
        if method == "PUT":
            asked = replace(asked, body=self.body(endpoint))
        if method == "PATCH":
            asked = replace(asked, body=self.draw(drawn.patch_of(self.operation(endpoint))))
        if method != "DELETE":
            asked = replace(asked, query=self.draw(drawn.shown))
        return replace(asked, condition=self.draw(drawn.conditions))

    def search_of_all(self):
        return Asked("POST", "/.search", search_body(self.draw(drawn.queries_of_all)))

    def bulk(self):
        """Draw a bulk request whose operations may refer to each other."""
        users = st.sampled_from([*self.ids["/Users"], "bulkId:u", "bulkId:v"])
        several = self.draw(st.lists(self.bulk_operation(users), min_size=1, max_size=4))
        for mark, operation in zip("uvwx", several, strict=False):
            if operation["method"] == "POST":
                operation["bulkId"] = mark
        limit = self.draw(drawn.some(failOnErrors=st.integers(1, 2)))
        body = {"schemas": [drawn.BULK_URN], "Operations": several, **limit}
        return Asked("POST", "/Bulk", body)

    def bulk_operation(self, users):
        user, group = (st.sampled_from(self.ids[e]) for e in ("/Users", "/Groups"))
        made = {"/Users": drawn.sound_users, "/Groups": drawn.groups(users)}
        return st.one_of(
            *(drawn.bulk_operation("POST", st.just(path), made[path]) for path in made),
            drawn.bulk_operation("PUT", user.map("/Users/{}".format), drawn.active_users),
            drawn.bulk_operation(
                "PATCH",
                group.map("/Groups/{}".format),
                drawn.patch_of(drawn.group_operations(users)),
            ),
        )

    def go_on(self):
        """Send one more request; return whether both still store the same."""
        asked = self.request()
        before = self.pair.tags.get(asked.path)
        ours, theirs = self.pair.ask(asked)
        if told(asked, ours) != told(asked, theirs):
            assert excuse_of(asked, ours, theirs), (asked, ours, theirs)
            return asked.method == "GET" or not (ours.good or theirs.good)
        self.remember(asked, ours)
        if asked.method in ("PUT", "PATCH") and ours.good:
            return self.compare_stored(asked, before)
        return True

    def remember(self, asked, ours):
        """Remember the ids of new resources."""
        if ours.good and asked.method == "POST" and not asked.path.endswith("/.search"):
            for endpoint, _, location in created(asked, ours):
                self.ids[endpoint].append(location.rpartition("/")[2])

    def compare_stored(self, asked, before):
        ours, theirs = self.pair.compare_now(asked.path)
        if ours.body != theirs.body:
            assert excuse_of(asked, ours, theirs), (asked, ours, theirs)
            return False
        after = self.pair.tags[asked.path]
        changes = [old != new for old, new in zip(before or after, after, strict=True)]
        assert changes[0] == changes[1] or changes_nothing(asked, *changes), asked
        return True


def search_body(query):
    lists = {n: query[n].split(",") for n in ("attributes", "excludedAttributes") if n in query}
    numbers = {
        n: int(query[n])
        for n in ("startIndex", "count")
        if n in query and query[n].lstrip("-").isdigit()
    }
    texts = {n: query[n] for n in ("filter", "sortBy", "sortOrder") if n in query}
    urn = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
    return {"schemas": [urn], **lists, **numbers, **texts}


def told(asked, answer):
    """Return the part of an answer that must be the same."""
    if asked.method == "PATCH" and answer.good:
        return answer.good
    body = answer.body
    if answer.good and isinstance(body, dict) and "Resources" in body:
        body = {**body, "Resources": ordered(asked, body["Resources"])}
    return answer.status, answer.scim_type, body


def ordered(asked, resources):
    """Return the resources, or only their number where their order is open."""
    sent = asked.query or asked.body or {}
    by = sent.get("sortBy", "").lower()
    paged = "count" in sent or "startIndex" in sent
    if by == "id" or (by == "username" and asked.endpoint == "/Users"):
        return resources
    return len(resources) if paged else sorted(resources, key=repr)


@TALKS
@given(st.data())
def test_both_services_give_the_same_answers(pair, data):
    talk = Talk(pair, data)
    for _ in range(data.draw(st.integers(1, 10))):
        if not talk.go_on():
            return
