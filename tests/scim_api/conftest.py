"""Fixtures of the service's tests: an application of its own, a real server."""

import os
import shutil
import subprocess

import pytest

from tests.scim_api.client import Api, Site
from tests.scim_api.process import Server


@pytest.fixture
def make_site(tmp_path):
    """Return a maker of data directories, each with settings of its own."""
    sites = []

    def make(name="data", **environment):
        sites.append(Site(tmp_path / name, **environment))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site):
    """Return an empty data directory."""
    return make_site()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a data directory with a new ledger, to be copied, and the token of its client."""
    site = Site(tmp_path_factory.mktemp("made") / "data")
    client = site.make()
    site.close()
    return site.data_dir, client.token


@pytest.fixture
def api(site, made):
    """Return a client of a ledger that holds no user yet."""
    data_dir, token = made
    shutil.copytree(data_dir, site.data_dir)
    return Api(site, "default", token)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Return a running service with one ledger; tests share it and must leave it running."""
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.clean_up()


@pytest.fixture
def start_made(tmp_path, made):
    """Return a maker of services of a ledger that is there already; they end with the test."""
    servers = []

    def starting(**options):
        folder = tmp_path / "server"
        if not folder.exists():
            shutil.copytree(made[0], folder / "data")
        servers.append(Server(folder, token=made[1], **options))
        return servers[-1]

    yield starting
    for started in servers:
        started.clean_up()


@pytest.fixture
def start(tmp_path):
    """Return a maker of services that end with the test."""
    servers = []

    def starting(name="server", **settings):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        servers.append(Server(folder, **settings))
        return servers[-1]

    yield starting
    for started in servers:
        started.clean_up()


@pytest.fixture
def disk(tmp_path):
    """Return a folder on a disk of 3 MB; skips where nothing may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
