"""The live feed of a running service: no event missing or twice, no request starved."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from urllib.parse import urlencode

import pytest

from scim_api.audit import events, feeds
from scim_api.audit.feeds import waits
from scim_api.auth.scopes import Scope
from tests.scim_api.client import Api, Site, patch, refusal, replace, user
from tests.scim_api.process import PATIENCE, Server, wait_until

FEED, EVENTS = "/ledger/v1/feed", "/ledger/v1/events"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a running service of two workers, which tests share, with an auditor's token."""
    service = Service(Server(tmp_path_factory.mktemp("feeds")))
    yield service
    service.server.clean_up()


class Service:
    """A running service, its SCIM client and its auditor."""

    def __init__(self, server):
        self.server = server
        self.site = Site(server.data_dir)
        self.token = self.issue()

    def issue(self, **own):
        return self.site.issue(scopes=[Scope.AUDIT], **own).token

    def end(self):
        """Return the position of the newest event."""
        return self.read(EVENTS, count=1)["position"]

    def ask(self, path, token=None, headers=None, **parameters):
        sent = {"Authorization": f"Bearer {token or self.token}", **(headers or {})}
        return self.server.ask("GET", f"{path}?{urlencode(parameters)}", base="", headers=sent)

    def read(self, path, **parameters):
        reply = self.ask(path, **parameters)
        assert reply.status == 200, reply.body
        return reply.json

    def create(self, name):
        """Create a user; return the status."""
        return self.server.ask("POST", "/Users", user(name)).status

    def feed(self, token=None, last_event_id=None, **parameters):
        """Open the feed."""
        return Feed(self.server.port, token or self.token, last_event_id, parameters)


class Feed:
    """A reader of Server-Sent Events by their specification."""

    def __init__(self, port, token, last_event_id, parameters):
        self.last_event_id = last_event_id
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        sent = {"Authorization": f"Bearer {token}"}
        if last_event_id is not None:
            sent["Last-Event-ID"] = str(last_event_id)
        self.connection.request("GET", f"{FEED}?{urlencode(parameters)}", headers=sent)
        self.response = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()
        self.response.close()

    def __iter__(self):
        """Yield each event's fields, until the stream ends."""
        fields = {}
        for line in self.response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
                continue
            self.last_event_id = fields.get("id", self.last_event_id)
            if "data" in fields:
                yield fields
            fields = {}

    def take(self, count):
        """Return the positions of the next events."""
        return [int(fields["id"]) for fields in islice(self, count)]


def test_a_feed_sends_existing_and_new_events(shared):
    start = shared.end()
    shared.create("before@example.com")

    with shared.feed(after=start) as feed:
        first = next(iter(feed))
        shared.create("after@example.com")
        second = next(iter(feed))

    assert (feed.response.status, feed.response.headers["Content-Type"]) == (
        200,
        "text/event-stream",
    )
    assert feed.response.headers["Cache-Control"] == "no-store"
    assert feed.response.headers["X-Accel-Buffering"] == "no"
    assert [first["id"], second["id"]] == [str(start + 1), str(start + 2)]
    assert [first["event"], second["event"]] == ["Created", "Created"]
    assert json.loads(second["data"]) == shared.read(f"{EVENTS}/{start + 2}")


def test_a_feed_begins_now_by_default(shared):
    with shared.feed() as feed:
        start = shared.end()
        shared.create("now@example.com")

        assert feed.take(1) == [start + 1]


def test_the_last_event_id_goes_before_after(shared):
    start = shared.end()
    for n in range(3):
        shared.create(f"last{n}@example.com")

    with shared.feed(last_event_id=start + 1, after=0) as feed:
        assert feed.take(2) == [start + 2, start + 3]


def test_a_feed_sends_only_matching_events(shared):
    start = shared.end()
    shared.create("other@example.com")
    shared.create("wanted@example.com")

    with shared.feed(after=start, filter='userName eq "Wanted@example.com"') as feed:
        assert feed.take(1) == [start + 2]


@pytest.mark.parametrize(
    ("last_event_id", "parameters"),
    [
        ("x", {}),
        ("-1", {}),
        ("1.5", {}),
        ("999999", {}),
        (None, {"after": "x"}),
        (None, {"after": "999999"}),
        (None, {"filter": "nothing"}),
    ],
    ids=str,
)
def test_a_feed_that_cannot_be_read_is_refused(shared, last_event_id, parameters):
    with shared.feed(last_event_id=last_event_id, **parameters) as feed:
        assert feed.response.status == 400
        assert json.loads(feed.response.read())["detail"]


def test_a_long_poll_answers_as_soon_as_there_is_an_event(shared):
    start = shared.end()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(shared.read, EVENTS, after=start, wait=20)
        time.sleep(0.3)
        assert not waiting.done()
        shared.create("poll@example.com")
        page = waiting.result(10)  # long before 20 s are over

    assert [event["position"] for event in page["events"]] == [start + 1]


def test_a_long_poll_in_vain_ends_when_its_time_is_over(shared):
    page = shared.read(EVENTS, wait=1, filter='stream eq "Nothing"')

    assert page["events"] == []
    assert "after=" in page["next"]


@pytest.mark.parametrize("asked", [None, 'type eq "Created"'])
def test_feeds_broken_and_resumed_while_others_write_miss_nothing_and_double_nothing(shared, asked):
    start, writers, each = shared.end(), 4, 40
    name = f"torn{start}"

    def write(n):
        return [shared.create(f"{name}-{n}-{i}@example.com") for i in range(each)]

    def follow(n):
        got, stands = [], start
        given = {"filter": asked} if asked else {}
        while len(got) < writers * each:
            with shared.feed(last_event_id=stands, **given) as feed:
                taken = feed.take(min(n + 7, writers * each - len(got)))  # then hang up
            got += taken
            stands = got[-1]
        return got

    def poll():
        got, stands = [], start
        given = {"filter": asked} if asked else {}
        while len(got) < writers * each:
            page = shared.read(EVENTS, after=stands, wait=5, count=9, **given)
            got += [event["position"] for event in page["events"]]
            stands = int(page["next"].rpartition("after=")[2])
        return got

    with ThreadPoolExecutor(16) as pool:
        readers = [*(pool.submit(follow, n) for n in range(4)), pool.submit(poll)]
        statuses = [pool.submit(write, n) for n in range(writers)]
        written = [status for one in statuses for status in one.result(60)]
        found = [reader.result(60) for reader in readers]

    assert written == [201] * (writers * each)
    assert found == [list(range(start + 1, start + 1 + writers * each))] * len(found)


def test_forty_readers_keep_no_writer_from_being_answered(shared):
    start, readers, writes = shared.end(), 40, 60
    with ExitStack() as stack, ThreadPoolExecutor(readers + 8) as pool:
        opened = [stack.enter_context(shared.feed(after=start)) for _ in range(readers)]
        reading = [pool.submit(feed.take, writes) for feed in opened]
        names = [f"crowd{n}@example.com" for n in range(writes)]
        writing = [pool.submit(shared.create, name) for name in names]
        statuses = [one.result(60) for one in writing]
        found = [one.result(60) for one in reading]

    assert [feed.response.status for feed in opened] == [200] * readers
    assert statuses == [201] * writes
    assert found == [list(range(start + 1, start + 1 + writes))] * readers


# What ends a feed


@pytest.fixture
def alone(start):
    """Return a maker of services of their own."""
    return lambda **settings: Service(start(**settings))


def test_a_client_that_hangs_up_gives_its_place_back(alone):
    service = alone(SCIM_FEEDS=1, WEB_CONCURRENCY=1)
    with service.feed() as feed:
        assert feed.response.status == 200
        refused = service.ask(FEED)

    assert refusal(refused)[0] == 429
    assert "Retry-After" in refused.headers
    assert wait_until(lambda: service.ask(EVENTS, wait=0).status == 200)


def test_feeds_end_when_the_service_stops_and_all_is_answered(alone):
    service = alone()
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        opened = [stack.enter_context(service.feed()) for _ in range(6)]
        reading = [pool.submit(list, feed) for feed in opened]
        polling = pool.submit(service.ask, EVENTS, wait=60)
        time.sleep(0.5)

        code = service.server.stop()

        assert [one.result(1) for one in reading] == [[]] * 6
        assert polling.result(5).json["events"] == []
    assert code == 0
    assert "Traceback" not in service.server.stderr.read_text()


# The stream itself, with the patience of a test


@pytest.fixture
def impatient(monkeypatch):
    """Make the service send a heartbeat at every check."""
    monkeypatch.setattr(feeds, "HEARTBEAT", 0.05)
    monkeypatch.setattr(feeds, "LOOK", 0.02)


def streamed(client, **parameters):
    """Return the chunks of a feed within this process, without end."""
    response = client.ask("GET", FEED, base="", query_string=parameters)
    assert response.status_code == 200
    return response, (chunk.decode() for chunk in response.response)


def test_a_feed_without_events_shows_that_it_lives(api, impatient):
    response, chunks = streamed(api.site.client(scopes=[Scope.AUDIT]))

    assert next(chunks) == "retry: 2000\n"
    assert ": still here\n" in islice(chunks, 3)
    response.close()


@pytest.mark.parametrize("asked", ['type eq "Created"', 'stream eq "Nothing"'])
def test_no_event_of_a_feed_is_without_data(api, impatient, asked):
    api.create()
    client = api.site.client(scopes=[Scope.AUDIT])
    response, chunks = streamed(client, after=0, filter=asked)

    text = "".join(islice(chunks, 8))
    response.close()
    blocks = text.split("\n\n")[:-1]
    assert all("\ndata: {" in block for block in blocks)
    assert len(blocks) == ("Created" in asked)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (("CredentialRevoked",), 401),
        (("CredentialChanged", {"allows": "nothing"}), 403),
        (("CredentialChanged", {"networks": ["203.0.113.0/24"]}), 403),
    ],
)
def test_a_token_that_ends_or_is_limited_while_streaming_ends_the_stream(
    api, impatient, event, status
):
    issued = api.site.issue(scopes=[Scope.AUDIT])
    client = Api(api.site, "default", issued.token)
    response, chunks = streamed(client)
    next(chunks)

    api.site.append("default", f"Credential-{issued.id}", 1, event)

    assert ": still here\n" not in list(chunks)[2:]  # it ends, and at the next beat
    response.close()
    assert refusal(client.ask("GET", FEED, base=""))[0] == status


def test_a_distant_match_of_a_filter_is_reached_in_strides(api, impatient, monkeypatch):
    monkeypatch.setattr(events, "STRIDE", 2)
    client = api.site.client(scopes=[Scope.AUDIT])
    for n in range(7):
        api.create(f"far{n}@example.com")
    end = api.recorded()
    response, chunks = streamed(client, after=0, filter=f"position eq {end}")

    assert any(f"id: {end}\nevent: Created" in chunk for chunk in islice(chunks, 30))
    response.close()
    page = client.ask(
        "GET", f"{EVENTS}?after=0&wait=5&filter=position eq {end}".replace(" ", "%20"), base=""
    ).json
    assert [event["position"] for event in page["events"]] == [end]


def test_a_feed_holds_large_events_for_its_client_in_small_pieces(api, impatient, monkeypatch):
    """A client that does not read on leaves no more than a piece in memory."""
    monkeypatch.setattr(events, "MOST_SENT", 200_000)
    made = api.create()
    for number in range(8):
        api.ask("PATCH", api.path(made), patch(replace(f"{number}" * 60_000, "title")))
    client = api.site.client(scopes=[Scope.AUDIT])
    end = api.recorded()
    response, chunks = streamed(client, after=0)

    pieces = []
    while not pieces or f"id: {end}\n" not in pieces[-1]:
        pieces.append(next(chunks))
    response.close()

    assert len(pieces) > 3
    ids = [line for piece in pieces for line in piece.split("\n") if line.startswith("id: ")]
    assert ids == [f"id: {position}" for position in range(1, end + 1)]


def test_a_place_is_given_back_once(make_site):
    site = make_site(SCIM_FEEDS="1")
    site.console.create("default").close()
    client = site.client(scopes=[Scope.AUDIT])
    response, _ = streamed(client)
    response.close()
    response.close()

    second, _ = streamed(client)

    assert refusal(client.ask("GET", FEED, base=""))[0] == 429
    second.close()


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/ledger/v1/feed", ""),
        ("//ledger//v1/feed/", "after=1"),
        ("/ledger/v1/%66eed", ""),
        ("/%6cedger/v1/feed", ""),
        ("/ledger/v1/events", "wait=5"),
        ("/ledger/v1/events/", "count=5&%77ait=5"),
    ],
)
def test_a_waiting_request_is_recognised_in_any_spelling(path, query):
    assert waits(path, query)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/scim/v2/Users", "wait=5"),
        ("/ledger/v1/events", "count=5"),
        ("/ledger/v1/events/5", "wait=5"),
        ("/ledger/v1", ""),
    ],
)
def test_a_request_that_does_not_wait_keeps_its_thread(path, query):
    assert not waits(path, query)
