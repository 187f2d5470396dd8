"""The judges ask the same service as the tests of scim_api."""

from tests.scim_api.conftest import api, made, make_site, server, site

__all__ = ["api", "made", "make_site", "server", "site"]
