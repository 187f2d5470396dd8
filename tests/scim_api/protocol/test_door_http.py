"""Media types, addresses and hosts as clients send them."""

import shutil

import pytest

from scim_api.protocol.schema.resource_types import USER_URN
from tests.scim_api.client import Api, Site, patch, refusal, replace, user


@pytest.mark.parametrize(
    "media_type",
    [
        "application/scim+json",
        "application/scim+json; charset=utf-8",
        "application/scim+json;charset=UTF-8",
        'application/scim+json; charset="utf-8"',
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/SCIM+JSON",
        None,
    ],
)
def test_these_media_types_are_taken(api, media_type):
    response = api.ask("POST", "/Users", user(), content_type=media_type)

    assert response.status_code == 201


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/scim+json; charset=iso-8859-1",
        "application/json; charset=utf-16",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_other_media_types_are_415(api, method, media_type):
    path = "/Users" if method == "POST" else api.path(api.create())

    response = api.ask(method, path, data=b"{}", content_type=media_type)

    assert refusal(response)[0] == 415


def test_a_body_in_another_coding_is_415(api):
    response = api.ask("POST", "/Users", user(), headers={"Content-Encoding": "gzip"})

    assert refusal(response)[0] == 415


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/scim+json"),
        ("*/*", "application/scim+json"),
        ("application/scim+json", "application/scim+json"),
        ("application/scim+json; charset=utf-8", "application/scim+json"),
        ("application/scim+json, application/json", "application/scim+json"),
        ("application/json", "application/json"),
        ("text/html", "application/scim+json"),
        ("", "application/scim+json"),
    ],
)
def test_no_accept_is_refused(api, accept, expected):
    response = api.get("/Users", headers={"Accept": accept})

    assert response.status_code == 200
    assert response.headers["Content-Type"] == expected


@pytest.mark.parametrize("accept", ["application/json", "application/scim+json"])
def test_errors_follow_accept_too(api, accept):
    response = api.get("/Users/none", headers={"Accept": accept})

    assert response.headers["Content-Type"] == accept


@pytest.mark.parametrize("path", ["//Users", "/Users/", "//Users//", "///Users"])
def test_slashes_too_many_do_no_harm_to_a_list(api, path):
    api.create()

    assert api.get(path).json["totalResults"] == 1


@pytest.mark.parametrize("path", ["//Users", "/Users/"])
def test_slashes_too_many_do_no_harm_to_a_create(api, path):
    assert api.post(user(), path).status_code == 201


@pytest.mark.parametrize("path", ["//Users/{}", "/Users//{}", "/Users/{}/"])
def test_slashes_too_many_do_no_harm_to_a_change(api, path):
    created = api.create()

    response = api.ask("PATCH", path.format(created["id"]), patch(replace({"active": False})))

    assert response.json["active"] is False


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_content_type_without_a_body_does_no_harm(api, method):
    created = api.create()

    response = api.ask(method, api.path(created), headers={"Content-Type": "application/scim+json"})

    assert response.status_code in (200, 204)


def test_unknown_query_parameters_do_no_harm(api):
    created = api.create()

    response = api.patch(created, replace({"active": False}), query_string="aadOptscim062020")

    assert response.json["active"] is False


def test_attribute_names_may_have_any_case(api):
    body = {"SCHEMAS": [USER_URN.upper()], "USERNAME": "jane@example.com", "Active": False}

    response = api.post(body)

    assert response.json["userName"] == "jane@example.com"
    assert response.json["active"] is False


def test_the_base_url_comes_from_the_request_unless_set(api):
    created = api.post(user(), headers={"Host": "scim.example.com:8443"}).json

    location = created["meta"]["location"]
    assert location == f"http://scim.example.com:8443/scim/v2/Users/{created['id']}"


def test_a_setting_fixes_the_base_url(make_site):
    api = make_site(SCIM_BASE_URL="https://scim.example.com/in/v2").make()

    created = api.post(user(), headers={"Host": "elsewhere.example"}).json

    location = created["meta"]["location"]
    assert location == f"https://scim.example.com/in/v2/Users/{created['id']}"


def test_the_base_url_is_laid_on_when_read_and_not_stored(api):
    created = api.create()

    response = api.get(api.path(created), headers={"Host": "other.example"})

    assert response.json["meta"]["location"].startswith("http://other.example/scim/v2/Users/")


def test_forwarded_headers_are_not_believed_unasked(api):
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}

    location = api.post(user(), headers=headers).json["meta"]["location"]

    assert location.startswith("http://localhost/")


def test_forwarded_headers_of_a_trusted_proxy_are_believed(make_site):
    api = make_site(SCIM_TRUSTED_PROXIES="1").make()
    headers = {"X-Forwarded-Host": "scim.example.com", "X-Forwarded-Proto": "https"}

    location = api.post(user(), headers=headers).json["meta"]["location"]

    assert location.startswith("https://scim.example.com/scim/v2/Users/")


FORWARDED = [
    ("203.0.113.9", "203.0.113.9"),
    ("203.0.113.9:51234", "203.0.113.9"),
    ("[2001:db8::1]:443", "2001:db8::1"),
    ("[2001:DB8::1]", "2001:db8::1"),
    ('"[2001:db8::1]:443"', "2001:db8::1"),
    ("2001:db8::1", "2001:db8::1"),
    ("fe80::1%eth0", "fe80::1"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("198.51.100.7:1, 203.0.113.9:2", "203.0.113.9"),  # the nearest hop is the trusted proxy's word
    ("198.51.100.7, unknown", None),
    ("unknown", None),
    ("_hidden", None),
    ("203.0.113.9 or so", None),
    ("203.0.113.999", None),
    ("203.0.113.9:port", None),
    ("[2001:db8::1", None),
    ("jane@example.com", None),
    ("", None),
    (",", None),
]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory, made):
    data_dir, token = made
    site = Site(tmp_path_factory.mktemp("proxied") / "data", SCIM_TRUSTED_PROXIES="1")
    shutil.copytree(data_dir, site.data_dir)
    yield Api(site, "default", token)
    site.close()


@pytest.mark.parametrize(("given", "expected"), FORWARDED)
def test_the_address_recorded_is_the_clients_alone_or_else_the_proxys(proxied, given, expected):
    name = f"{len(proxied.site.events())}@example.com"

    proxied.post(user(name), headers={"X-Forwarded-For": given})

    recorded = proxied.site.events()[-1].request["address"]
    assert recorded == (expected or "127.0.0.1")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http, https", "https"),
        ("ftp", "http"),
        ("javascript", "http"),
        ("https://x", "http"),
        ("", "http"),
        ("https,", "http"),
    ],
)
def test_a_forwarded_scheme_is_http_or_https_or_ignored(proxied, given, expected):
    answer = proxied.get("/Users", headers={"X-Forwarded-Proto": given})
    created = proxied.get("/ServiceProviderConfig", headers={"X-Forwarded-Proto": given})

    assert answer.status_code == 200
    assert created.json["meta"]["location"].partition(":")[0] == expected


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/Users", "/scim/v2x/Users", "/ledger/v1/nothing"]
)
def test_a_404_outside_the_scim_base_has_no_okta_hint(api, path):
    status, _, detail = refusal(api.get(path, base=""))

    assert (status, "Okta" in detail) == (404, False)


def test_the_path_of_the_base_can_be_another(make_site):
    api = make_site(SCIM_BASE_PATH="/services/scim/v2/").make()

    assert api.get("/Users", base="/services/scim/v2").status_code == 200
    assert api.get("/Users").status_code == 404


NO_HOSTS = ["a b", "a..b", "..", "a" * 64, ".".join(["a" * 50] * 6), "a:65536", "a:x", "[1.2.3.4]"]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_an_invalid_forwarded_host_is_ignored(proxied, host):
    answer = proxied.ask(
        "POST", "/Users", user(host.encode().hex()), headers={"X-Forwarded-Host": host}
    )

    assert answer.status_code == 201
    assert answer.headers["Location"].startswith("http://localhost/")


@pytest.mark.parametrize("host", ["a.example:65535", "a.example.", "[2001:db8::1]:8443", "a_b"])
def test_a_host_with_a_port_a_final_dot_or_an_ipv6_address_is_one(proxied, host):
    sent = {"X-Forwarded-Host": host}
    answer = proxied.ask("POST", "/Users", user(f"{len(host)}@example.org"), headers=sent)

    assert answer.headers["Location"].startswith(f"http://{host}/scim/v2/Users/")


@pytest.mark.parametrize("host", [*NO_HOSTS, 'a"b', "a\\b", "<x>", "é.example"])
def test_an_invalid_host_is_refused_before_it_can_break_the_json(api, host):
    created = api.create()

    response = api.get(api.path(created), headers={"Host": host})

    assert response.status_code == 400
    assert response.json["detail"] == "The Host header is not a host name."
