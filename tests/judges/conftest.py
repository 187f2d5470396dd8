"""Uses the fixtures of the service's tests."""

from tests.scim_api.conftest import api, made, make_site, server, site

__all__ = ["api", "made", "make_site", "server", "site"]
