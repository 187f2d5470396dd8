"""Settings come from the environment; a wrong one is named with its correction."""

import subprocess
import sys
from pathlib import Path

import pytest

from scim_api.settings import VARIABLES, SettingsError, described, load, unknown
from tests.scim_api.process import PROGRAM, environment, free_port

PRODUCTION = {
    "SCIM_ENV": "production",
    "SCIM_BASE_URL": "https://scim.example.com/scim/v2",
    "SCIM_DATA_DIR": "/var/lib/scim-ledger",
}


def refused(**given):
    """Return what is said of settings that are refused."""
    with pytest.raises(SettingsError) as raised:
        load(given)
    return str(raised.value)


def test_nothing_has_to_be_set():
    settings = load({})

    assert (settings.env, settings.bind, settings.port) == ("development", "127.0.0.1", 8000)
    assert settings.local_url == "http://127.0.0.1:8000/scim/v2"


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_an_empty_variable_is_as_good_as_none(variable):
    assert load({variable: ""}) == load({})


def test_what_is_not_ours_is_not_looked_at():
    assert load({"PATH": "/bin", "SCIM_ELSE": "x"}) == load({})


WRONG = [
    ("SCIM_ENV", "prod", "development or production"),
    ("SCIM_ENV", "Production", "development or production"),
    ("PORT", "abc", "whole number"),
    ("PORT", "80.5", "whole number"),
    ("PORT", "0", "1 to 65,535"),
    ("PORT", "-1", "1 to 65,535"),
    ("PORT", "65536", "1 to 65,535"),
    ("WEB_CONCURRENCY", "0", "1 to 64"),
    ("WEB_CONCURRENCY", "1000", "1 to 64"),
    ("SCIM_THREADS", "0", "1 to 128"),
    ("SCIM_BASE_PATH", "scim", "begins with a slash"),
    ("SCIM_BASE_PATH", "/", "begins with a slash"),
    ("SCIM_BASE_PATH", "/scim v2", "begins with a slash"),
    ("SCIM_BASE_PATH", "/scim?x", "begins with a slash"),
    ("SCIM_BASE_PATH", "/<id>", "begins with a slash"),
    ("SCIM_BASE_URL", "scim.example.com", "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "ftp://scim.example.com", "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "https://", "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "https://x/scim?y=1", "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "https://x/scim_v2", "underscore"),
    ("SCIM_BASE_URL", "https://x_y.example.com/", "underscore"),
    ("SCIM_BASE_URL", 'https://x/"', "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "https://x/a b", "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "https://[x", "https://scim.example.com/scim/v2"),
    ("SCIM_BASE_URL", "https://x#y", "https://scim.example.com/scim/v2"),
    ("SCIM_TRUSTED_PROXIES", "-1", "0 to 10"),
    ("SCIM_TRUSTED_PROXIES", "yes", "whole number"),
    ("SCIM_LOG_LEVEL", "INFO", "debug, info, warning or error"),
    ("SCIM_LOG_LEVEL", "loud", "debug, info, warning or error"),
    ("SCIM_MAX_BODY", "1", "10,000 to 100,000,000"),
    ("SCIM_MAX_RESULTS", "10", "100 to 10,000"),
    ("SCIM_WRITE_PATIENCE", "soon", "number of seconds"),
    ("SCIM_WRITE_PATIENCE", "0", "0.1 to 50"),
    ("SCIM_WRITE_PATIENCE", "nan", "number of seconds"),
    ("SCIM_WRITE_PATIENCE", "inf", "number of seconds"),
    ("SCIM_SHUTDOWN_GRACE", "0", "1 to 600"),
    ("SCIM_TLOG_PUBLIC", "yes", "on or off"),
    ("SCIM_JWKS_HOSTS", "https://login.example.com", "host names"),
    ("SCIM_JWKS_HOSTS", "login.example.com:443", "host names"),
    ("SCIM_JWKS_HOSTS", "login.example.com,", "host names"),
    ("SCIM_JWKS_HOSTS", "*.example.com", "host names"),
    ("SCIM_AUTHENTICATION", "bearer", "header,basic,oauth"),
    ("SCIM_AUTHENTICATION", "header,", "header,basic,oauth"),
    ("SCIM_AUTHENTICATION", ",", "header,basic,oauth"),
]


@pytest.mark.parametrize(("variable", "value", "words"), WRONG)
def test_a_wrong_value_is_named_with_how_to_mend_it(variable, value, words):
    said = refused(**{variable: value})

    assert said.startswith(f"{variable}={value}: {variable} ")
    assert words in said


def test_every_wrong_value_is_named_at_once():
    said = refused(PORT="abc", SCIM_ENV="x", SCIM_BASE_URL="y").splitlines()

    assert len(said) == 3


def test_a_file_is_no_data_directory(tmp_path):
    file = tmp_path / "file"
    file.touch()

    assert "folder" in refused(SCIM_DATA_DIR=str(file))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, ("header", "basic", "oauth")),
        ({"SCIM_AUTHENTICATION": "oauth, header"}, ("header", "oauth")),
        ({"SCIM_AUTHENTICATION": "basic,basic"}, ("basic",)),
    ],
)
def test_the_ways_to_authenticate_are_a_list_in_any_order(given, read):
    settings = load(given)

    assert settings.authentication == read
    shown = {row["setting"]: row["value"] for row in described(settings, given)}
    assert shown["SCIM_AUTHENTICATION"] == ",".join(read)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://scim.example.com", "https://scim.example.com/scim/v2"),
        ("https://scim.example.com/", "https://scim.example.com/scim/v2"),
        ("https://scim.example.com/in/v2/", "https://scim.example.com/in/v2"),
        ("http://localhost:8000/scim/v2", "http://localhost:8000/scim/v2"),
        ("https://[::1]:8000/scim/v2", "https://[::1]:8000/scim/v2"),
    ],
)
def test_a_base_url_is_taken_as_it_is_pasted(url, expected):
    assert load({"SCIM_BASE_URL": url}).base_url == expected


@pytest.mark.parametrize(
    ("url", "path", "root"),
    [
        ("https://scim.example.com", "/scim/v2", "https://scim.example.com"),
        ("https://scim.example.com/in/scim/v2", "/scim/v2", "https://scim.example.com/in"),
        ("https://scim.example.com/scim", "/scim/v2", "https://scim.example.com"),
        ("https://scim.example.com/a/b", "/scim/v2", "https://scim.example.com"),
        ("https://scim.example.com:8443/other/v2", "/v2", "https://scim.example.com:8443/other"),
        ("https://scim/v2", "/scim/v2", "https://scim"),
    ],
)
def test_the_root_is_the_base_url_without_the_base_path_or_else_its_host(url, path, root):
    assert load({"SCIM_BASE_URL": url, "SCIM_BASE_PATH": path}).root_url == root


def test_without_a_base_url_no_setting_says_the_root():
    assert load({}).root_url is None


def test_the_base_path_may_not_be_where_oauth_has_its_addresses():
    said = refused(SCIM_BASE_PATH="/oauth/scim")

    assert said.startswith("SCIM_BASE_PATH=/oauth/scim: ")
    assert load({"SCIM_BASE_PATH": "/oauth2"})
    assert load({"SCIM_BASE_PATH": "/oauth", "SCIM_AUTHENTICATION": "header,basic"})


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000/scim/v2"),
        ("::", "http://[::1]:8000/scim/v2"),
        ("::1", "http://[::1]:8000/scim/v2"),
        ("10.0.0.5", "http://10.0.0.5:8000/scim/v2"),
    ],
)
def test_the_local_url_is_one_that_can_be_called(bind, expected):
    assert load({"SCIM_BIND": bind}).local_url == expected


# Production


def test_production_takes_what_is_safe():
    assert load(PRODUCTION).production


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SCIM_BASE_URL", "", "https"),
        ("SCIM_BASE_URL", "http://scim.example.com/scim/v2", "OAuth"),
        ("SCIM_DATA_DIR", "", "absolute"),
        ("SCIM_DATA_DIR", "var", "absolute"),
    ],
)
def test_production_refuses_what_is_unsafe(variable, value, words):
    said = refused(**PRODUCTION | {variable: value})

    assert said.startswith(f"{variable}=")
    assert words in said


def test_development_takes_the_same():
    assert not load({"SCIM_BASE_URL": "http://localhost/x", "SCIM_DATA_DIR": "var"}).production


# Near misses


@pytest.mark.parametrize(
    ("name", "near"),
    [("SCIM_THREAD", "SCIM_THREADS"), ("SCIM_BASEURL", "SCIM_BASE_URL")],
)
def test_an_unknown_variable_is_named_with_the_nearest(name, near):
    assert unknown({name: "x", "PATH": "y"}) == [f"{name} is not a setting; did you mean {near}?"]


def test_a_variable_like_none_of_ours_is_named_alone():
    assert unknown({"SCIM_XYZZY_QUUX": "x"}) == ["SCIM_XYZZY_QUUX is not a setting"]


# At start


def run(tmp_path, *command, **settings):
    return subprocess.run(
        command,
        env=environment(tmp_path / "data", **settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"PORT": "abc"},
        {"SCIM_ENV": "prod"},
        {"SCIM_ENV": "production"},
        {"SCIM_BASE_URL": "scim.example.com"},
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(tmp_path, settings):
    ended = run(tmp_path, *PROGRAM, "serve", **settings)

    assert ended.returncode == 4
    assert ended.stdout == ""
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_wrong_option_stops_the_start_with_a_sentence(tmp_path):
    ended = run(tmp_path, *PROGRAM, "serve", "--port", "abc")

    assert ended.returncode == 4
    assert ended.stderr == "Error: PORT=abc: PORT must be a whole number\n"


def test_a_wrong_setting_stops_gunicorn_with_a_sentence_too(tmp_path):
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:scim_api.server.gunicorn_conf"]

    ended = run(tmp_path, *gunicorn, "app:create_app()", PORT="abc")

    assert ended.returncode != 0
    assert ended.stderr.strip() == "Error: PORT=abc: PORT must be a whole number"


def test_production_makes_no_ledger_by_itself(tmp_path):
    settings = PRODUCTION | {"SCIM_DATA_DIR": str(tmp_path), "PORT": str(free_port())}

    ended = run(tmp_path, *PROGRAM, "serve", **settings)

    assert ended.returncode == 4
    assert "scim-ledger init" in ended.stderr
    assert list(Path(tmp_path).iterdir()) == []


@pytest.mark.parametrize("url", ["hook.example.com", "ftp://hook.example.com", "http://u:hook@x"])
def test_an_error_repeats_no_secret(url):
    says = refused(SCIM_ANCHOR_URL=url)

    assert says.startswith(
        "SCIM_ANCHOR_URL=…: SCIM_ANCHOR_URL must be a URL such as https://anchor"
    )
    assert "hook" not in says


def test_a_tilde_is_the_home_folder_in_every_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    named = ("SCIM_DATA_DIR", "SCIM_KEY_DIR", "SCIM_ANCHOR_DIR", "SCIM_WITNESS_DIR")

    loaded = load(dict.fromkeys(named, "~/ledgers"))

    folders = {loaded.data_dir, loaded.key_dir, loaded.anchor_dir, loaded.witness_dir}
    assert folders == {tmp_path / "ledgers"}
    assert load({**PRODUCTION, "SCIM_DATA_DIR": "~/d"}).data_dir == tmp_path / "d"
    assert load({"SCIM_DATA_DIR": "./~"}).data_dir == Path("~")
    assert "no such home folder" in refused(SCIM_DATA_DIR="~nobody-of-that-name/x")
