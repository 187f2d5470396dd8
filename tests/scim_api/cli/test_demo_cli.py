"""demo: a ledger made by the real API from a story kept as data."""

from scim_api.cli.demo import story


def test_the_demonstration_makes_a_ledger_that_verifies(empty):
    made = empty("demo", "--json").json

    [status] = empty("status", "--json").json
    assert status["ledger"] == "demo"
    assert status["users"] == made["joiners"]
    assert made["token"] not in empty("token", "list", "--ledger", "demo").out
    empty("verify", "--ledger", "demo", "--events-only")


def test_in_the_story_nobody_moves_or_leaves_before_joining():
    joined, here = set(), set()

    for step in (step for day in story() for step in day):
        number, action = step["number"], step["action"]
        assert (number in joined) == (action != "join")
        assert (number in here) == (action in ("move", "leave"))
        joined.add(number)
        (here.discard if action == "leave" else here.add)(number)
