"""What a request says of itself, read from its WSGI environment."""

from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from scim_api import settings
from scim_api.web.context import Exchange
from scim_api.web.limits import Limits

QUERIES = st.text("ab=&;%+ 0c3A9é/", max_size=20).map(lambda text: text.encode().decode("latin1"))


@given(query=QUERIES)
@example(query="filter=userName+eq+%22a%2Bb%22&filter=second&count=")
@example(query="a=%ff%C3%A9&&=b&c")
def test_parameters_are_those_that_werkzeug_reads(query):
    environ = EnvironBuilder().get_environ() | {"QUERY_STRING": query}
    own = settings.load({})
    parameters = Exchange(environ, own, Limits.of(own)).parameters
    assert parameters == Request(environ).args.to_dict()
