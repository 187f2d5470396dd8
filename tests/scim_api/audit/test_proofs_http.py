"""GET /ledger/v1/tree-head and /ledger/v1/proof/…: checked with merkle and with the heads."""

import base64

import pytest

from ledger import merkle
from ledger.signing.note import Note, TreeHead, VerifierKey
from tests.scim_api.client import refusal

LEDGER = "/ledger/v1"


@pytest.fixture
def auditor(api):
    """Return an auditor of a ledger of some events, over which a head was signed."""
    api.fill(6)
    client = api.site.client(scopes=["audit"])
    sign(api.site)
    return client


def sign(site):
    tenant = site.console.tenant("default")
    try:
        return tenant.heads.sign()
    finally:
        tenant.close()


def ask(client, path, **parameters):
    return client.get(path, base=LEDGER, query_string=parameters)


def told(client, path, **parameters):
    answer = ask(client, path, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json


def hashes(document):
    return [bytes.fromhex(each) for each in document["hashes"]]


def header_at(client, position):
    return told(client, f"/events/{position}")["header"].encode()


def test_the_tree_head_is_the_newest_with_the_key_that_checks_it(auditor):
    found = told(auditor, "/tree-head")

    note = Note.parse(found["note"])
    assert note.signed_by(VerifierKey.parse(found["verifier_key"]))
    head = TreeHead.of(note)
    assert (head.origin, head.size, head.root.hex()) == (
        found["origin"],
        found["size"],
        found["root"],
    )
    assert found["size"] == auditor.recorded()


def test_each_event_is_proved_under_the_newest_head(auditor):
    head = told(auditor, "/tree-head")

    for position in range(1, head["size"] + 1):
        proof = told(auditor, "/proof/inclusion", position=position)
        assert (proof["size"], proof["root"]) == (head["size"], head["root"])
        leaf = merkle.leaf_hash(header_at(auditor, position))
        assert leaf.hex() == proof["leaf_hash"]
        assert merkle.verify_inclusion(
            leaf, proof["index"], proof["size"], hashes(proof), bytes.fromhex(head["root"])
        )


def test_an_event_is_proved_among_fewer_events(auditor):
    proof = told(auditor, "/proof/inclusion", position=2, size=5)

    leaf, root = bytes.fromhex(proof["leaf_hash"]), bytes.fromhex(proof["root"])
    leaves = [merkle.leaf_hash(header_at(auditor, n)) for n in range(1, 6)]
    assert root == merkle.tree_hash(leaves)
    assert merkle.verify_inclusion(leaf, 1, 5, hashes(proof), root)


def test_a_remembered_head_leads_to_the_newest(auditor):
    before = told(auditor, "/tree-head")
    site = auditor.site
    site.client().create("later@example.com")
    sign(site)
    after = told(auditor, "/tree-head")

    proof = told(auditor, "/proof/consistency", **{"from": before["size"]})

    assert proof["to"] == after["size"] > before["size"]
    assert (proof["from_root"], proof["to_root"]) == (before["root"], after["root"])
    roots = bytes.fromhex(before["root"]), bytes.fromhex(after["root"])
    assert merkle.verify_consistency(before["size"], after["size"], *roots, hashes(proof))


def test_a_ledger_is_consistent_with_itself_and_with_nothing(auditor):
    for size in (0, 1, 4):
        proof = told(auditor, "/proof/consistency", **{"from": size, "to": 4})

        roots = bytes.fromhex(proof["from_root"]), bytes.fromhex(proof["to_root"])
        assert merkle.verify_consistency(size, 4, *roots, hashes(proof))


def test_a_proof_as_text_holds_header_hashes_and_head(auditor):
    answer = ask(auditor, "/proof/inclusion.tlog-proof", position=3)

    assert answer.content_type == "text/plain; charset=utf-8"
    proof, _, note = answer.text.partition("\n\n")
    first, extra, index, *encoded = proof.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 2")
    header = base64.b64decode(extra.removeprefix("extra "))
    assert header == header_at(auditor, 3)
    head = TreeHead.of(Note.parse(note))
    siblings = [base64.b64decode(each) for each in encoded]
    leaf = merkle.leaf_hash(header)
    assert merkle.verify_inclusion(leaf, 2, head.size, siblings, head.root)


REFUSED = [
    ("/proof/inclusion", {}, 400, "position is required"),
    ("/proof/inclusion", {"position": "x"}, 400, "whole number"),
    ("/proof/inclusion", {"position": "0"}, 400, "1 or more"),
    ("/proof/inclusion", {"position": "-1"}, 400, "1 or more"),
    ("/proof/inclusion", {"position": "1000"}, 404, "The last one is 9"),
    ("/proof/inclusion", {"position": "9" * 40}, 404, "The last one is 9"),
    ("/proof/inclusion", {"position": "2", "size": "1"}, 400, "tree of 1 events"),
    ("/proof/inclusion", {"position": "2", "size": "0"}, 400, "tree of 0 events"),
    ("/proof/inclusion", {"position": "2", "size": "10"}, 400, "has 9"),
    ("/proof/inclusion", {"position": "2", "size": "two"}, 400, "whole number"),
    ("/proof/inclusion.tlog-proof", {"position": "99"}, 404, "The last one is 9"),
    ("/proof/consistency", {}, 400, "from is required"),
    ("/proof/consistency", {"from": "-1"}, 400, "number of events"),
    ("/proof/consistency", {"from": "10"}, 400, "has 9"),
    ("/proof/consistency", {"from": "3", "to": "2"}, 400, "from is larger than to, which is 2"),
    ("/proof/consistency", {"from": "3", "to": "10"}, 400, "to must be a number of events"),
    ("/tree-head", {"asOf": "1"}, 400, "asOf is for SCIM reads"),
]


def test_an_impossible_proof_is_refused_precisely(auditor):
    for path, given, status, words in REFUSED:
        found = refusal(ask(auditor, path, **given))

        assert found[0] == status, (path, given)
        assert words in found[2]


def test_an_event_that_no_head_covers_is_proved_when_a_size_is_given(auditor):
    auditor.site.client().create("later@example.com")
    end = auditor.recorded()

    assert told(auditor, "/proof/inclusion", position=end, size=end)["size"] == end
    for path in ("/proof/inclusion", "/proof/inclusion.tlog-proof"):
        status, _, detail = refusal(ask(auditor, path, position=end))
        assert (status, "not this one yet" in detail) == (404, True)
