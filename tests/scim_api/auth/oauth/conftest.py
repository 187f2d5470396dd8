"""A key set's URL on this machine, and an authorization server of two ledgers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scim_api.auth.oauth.key_set_url import KeySetUrl, key_set_served
from tests.scim_api.auth.oauth.service import Service
from tests.scim_api.client import Site


@pytest.fixture
def key_set_url() -> Iterator[KeySetUrl]:
    with key_set_served() as served:
        yield served


@pytest.fixture(scope="session")
def two_ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with two empty ledgers, to be copied."""
    site = Site(tmp_path_factory.mktemp("oauth") / "data")
    for name in ("acme", "beta"):
        site.console.create(name).close()
    return site.data_dir


@pytest.fixture
def service(two_ledgers: Path, site: Site) -> Iterator[Service]:
    """Return the authorization server of the ledgers acme and beta."""
    shutil.copytree(two_ledgers, site.data_dir)
    opened = Service(site)
    yield opened
    opened.close()
