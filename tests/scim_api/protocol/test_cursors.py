"""Cursors of lists (RFC 9865): any changed cursor is refused."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from freezegun import freeze_time
from hypothesis import assume, given
from hypothesis import strategies as st

from scim_api.protocol.cursors import TIMEOUT, open_cursor, seal_cursor
from scim_api.protocol.errors import ExpiredCursor, InvalidCount, InvalidCursor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = sha256(b"token").digest()
POSITION = ["jane@example.com", 17]

numbers = st.integers(-(2**53), 2**53)
scalars = st.none() | st.booleans() | numbers | st.text()
positions = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


def seal(position=POSITION, fingerprint="all users", count=10):
    return seal_cursor(fingerprint, count, position, KEY)


def opened(cursor, fingerprint="all users", count=10, key=KEY):
    return open_cursor(cursor, fingerprint, count, key)


def raw(cursor):
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


@given(positions, st.text(), st.integers(0, 10_000))
def test_a_cursor_gives_back_its_position(position, fingerprint, count):
    cursor = seal(position, fingerprint, count)

    assert opened(cursor, fingerprint, count) == (position, count)


@given(positions)
def test_a_cursor_needs_no_escaping_in_a_url(position):
    cursor = seal(position)

    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


def test_a_cursor_does_not_reveal_its_content():
    cursor = seal(["jane@example.com"], "a filter")

    assert b"jane" not in raw(cursor)
    assert b"filter" not in raw(cursor)


def test_two_cursors_for_the_same_position_differ():
    assert seal() != seal()


@given(st.data(), st.integers(1, 255))
def test_a_cursor_with_one_byte_changed_is_invalid(data, change):
    sealed = bytearray(raw(seal()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= change
    cursor = urlsafe_b64encode(sealed).rstrip(b"=").decode()

    with pytest.raises(InvalidCursor):
        opened(cursor)


@given(st.data(), st.characters())
def test_a_cursor_with_one_character_changed_is_invalid(data, character):
    cursor = seal()
    at = data.draw(st.integers(0, len(cursor) - 1))
    assume(cursor[at] != character)

    with pytest.raises(InvalidCursor):
        opened(cursor[:at] + character + cursor[at + 1 :])


@given(st.data())
def test_a_cursor_cut_short_is_invalid(data):
    cursor = seal()

    with pytest.raises(InvalidCursor):
        opened(cursor[: data.draw(st.integers(0, len(cursor) - 1))])


@given(st.text())
def test_any_other_text_is_an_invalid_cursor(text):
    with pytest.raises(InvalidCursor):
        opened(text)


def test_a_cursor_with_padding_or_space_is_invalid():
    cursor = seal()

    for changed in (cursor + "=", cursor + "==", " " + cursor, cursor + "\n"):
        with pytest.raises(InvalidCursor):
            opened(changed)


@given(st.text())
def test_a_cursor_of_another_query_is_invalid(fingerprint):
    assume(fingerprint != "all users")

    with pytest.raises(InvalidCursor):
        opened(seal(), fingerprint)


@given(st.binary(min_size=1, max_size=64))
def test_a_cursor_of_another_token_is_invalid(key):
    assume(key != KEY)

    with pytest.raises(InvalidCursor):
        opened(seal(), key=key)


@given(st.integers(0, 10_000))
def test_another_count_than_the_first_is_refused(count):
    assume(count != 10)

    with pytest.raises(InvalidCount, match="count=10"):
        opened(seal(), count=count)


def test_without_a_count_the_list_goes_on_with_the_first():
    assert opened(seal(), count=None) == (POSITION, 10)


def sealed_before(**age):
    with freeze_time(NOW - timedelta(**age)):
        return seal()


@freeze_time(NOW)
def test_a_cursor_lasts_as_long_as_is_announced():
    cursor = sealed_before(seconds=TIMEOUT)

    assert opened(cursor)[0] == POSITION


@freeze_time(NOW)
def test_a_cursor_expires():
    cursor = sealed_before(seconds=TIMEOUT + 1)

    with pytest.raises(ExpiredCursor):
        opened(cursor)


@freeze_time(NOW)
def test_a_clock_set_back_does_not_invalidate_a_cursor():
    cursor = sealed_before(hours=-5)

    assert opened(cursor)[0] == POSITION


@pytest.mark.parametrize(
    ("error", "scim_type"),
    [
        (InvalidCursor, "invalidCursor"),
        (ExpiredCursor, "expiredCursor"),
        (InvalidCount, "invalidCount"),
    ],
)
def test_each_refusal_has_its_scim_type(error, scim_type):
    document = error("cursor.why", "why").refusal().document()

    assert (document["status"], document["scimType"]) == ("400", scim_type)
