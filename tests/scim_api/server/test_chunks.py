"""Where a body in chunks ends: the same place as for the parser that judges it."""

import hypothesis.strategies as st
from gunicorn.http.body import Body, ChunkedReader
from hypothesis import example, given

from scim_api.server.chunks import Chunks
from scim_api.server.parsing import Arrived, Incomplete

LINES = (b"1\r\n", b"a\r\n", b"F;x=y\r\n", b"0\r\n", b"00\r\n", b"-1\r\n", b"2 \r\n", b"0;\n\r\n")
REST = (
    b"\r\n",
    b"x",
    b"\r",
    b"\n",
    b"~" * 10,
    b"01234567890abcde\r\n",
    b"X: y\r\n",
    b"\r\n\r\n",
)
BODIES = st.lists(st.sampled_from(LINES + REST), max_size=12).map(b"".join)


class Request:
    """What the parser asks of a request."""

    limit_request_field_size = 8190
    max_buffer_headers = 65_536
    trailers = ()

    def parse_headers(self, data, from_trailer):
        return []


def judged(data):
    """Return whether the parser takes a body, refuses it or needs more, and how much it leaves."""
    arrived = Arrived(data)
    try:
        Body(ChunkedReader(Request(), arrived)).read()
    except Incomplete:
        return "more", 0
    except Exception:
        return "refused", 0
    return "taken", len(arrived.take_buffered())


@given(BODIES)
@example(b"0\r\n\r\n")
@example(b"1\r\nx\r\n0\r\nX: y\r\n\r\nGET ")
def test_a_body_that_the_parser_takes_ends_where_the_parser_ends(data):
    verdict, left = judged(data)

    end = Chunks().end(bytearray(data))

    if verdict == "taken":
        assert end == len(data) - left
    elif verdict == "more":
        assert end is None


@given(BODIES, st.integers(1, 7))
def test_the_end_is_the_same_however_a_body_arrives(data, step):
    chunks, received, found = Chunks(), bytearray(), None

    for start in range(0, len(data), step):
        received += data[start : start + step]
        found = chunks.end(received)
        if found is not None:
            break

    whole = Chunks().end(bytearray(data))
    if found is None or judged(data)[0] == "taken":
        assert found == whole
