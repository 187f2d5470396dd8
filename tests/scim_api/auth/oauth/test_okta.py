"""Okta's redirect URIs: found in the address of the app's page, for every cell."""

import pytest

from scim_api.auth.oauth.okta import (
    NoAdminConsoleAddress,
    app_name,
    redirect_uris,
    unlisted_domain,
)

PAGE = "https://trial-7464750-admin.okta.com/admin/app/trial7464750_rostr_1/instance/0oaxyz"


@pytest.mark.parametrize(
    "address",
    [
        *(PAGE, f"{PAGE}/", f"{PAGE}/#tab-general", f"{PAGE}#tab-user-management"),
        *(f"{PAGE}?tab=general", f"  {PAGE}\n", PAGE.removeprefix("https://")),
    ],
)
def test_the_name_of_the_app_stands_between_app_and_instance(address):
    assert app_name(address) == "trial7464750_rostr_1"


def test_there_is_a_redirect_uri_for_every_cell():
    path = "/admin/app/cpc/trial7464750_rostr_1/oauth/callback"

    assert set(redirect_uris(PAGE)) == {
        f"https://system-admin.okta.com{path}",
        f"https://system-admin.okta-emea.com{path}",
        f"https://system-admin.oktapreview.com{path}",
        f"https://system-admin.trexcloud.com{path}",
        f"http://system-admin.okta1.com:1802{path}",
        f"https://system-admin.okta1.com:1802{path}",
    }


@pytest.mark.parametrize(
    "address",
    [
        *("", "acme", "https://acme-admin.okta.com/admin/dashboard", "https://[/admin/app/x/"),
        *("https://acme.okta.com/home/acme_1/0oa", f"ftp{PAGE.removeprefix('https')}"),
        "https://acme-admin.okta.com/admin/app//instance/0oa",
        "https://acme-admin.okta.com/admin/app/a/b/instance/0oa",
        "https://acme-admin.okta.com/admin/app/a%2F..%2Fb/instance/0oa",
        "https://acme-admin.okta.com/admin/app/a\nb/instance/0oa",
        "https://acme-admin.okta.com/admin/app/acme_1/instance/",
    ],
)
def test_any_other_address_is_refused_with_an_example(address):
    with pytest.raises(NoAdminConsoleAddress, match=r"looks like https://acme-admin\.okta\.com/"):
        redirect_uris(address)


@pytest.mark.parametrize(
    ("host", "unlisted"),
    [
        ("acme-admin.okta.com", None),
        ("acme-admin.oktapreview.com", None),
        ("acme-admin.okta-gov.com", "acme-admin.okta-gov.com"),
        ("acme-admin.okta.mil", "acme-admin.okta.mil"),
        ("notokta.com", "notokta.com"),
    ],
)
def test_a_cell_that_okta_does_not_list_is_named(host, unlisted):
    assert unlisted_domain(f"https://{host}/admin/app/acme_1/instance/0oa") == unlisted
