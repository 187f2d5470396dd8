"""Families of clients, from their User-Agents without versions."""

import pytest

from ledger.user_agents import family


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("Okta SCIM Client 1.0.0", "Okta"),
        ("OKTA SCIM Integration", "Okta"),
        ("Entra", "Entra"),
        ("Microsoft Entra ID", "Entra"),
        ("AzureAD/1.0", "Entra"),
        ("OneLogin SCIM", "OneLogin"),
        ("JumpCloud/2", "JumpCloud"),
        ("PingFederate/12", "PingIdentity"),
        ("Google-Auto-Provisioning", "Google"),
        ("scim-ledger 0.1.0", "CLI"),
        ("curl/8.5.0", "curl"),
        ("PostmanRuntime/7.39.0", "Postman"),
        ("Python-urllib/3.11", "Python"),
        ("python-requests/2.32", "Python"),
        ("python-httpx/0.28", "Python"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/130 Edg/130 Google Microsoft", "browser"),
        ("a client of my own", "other"),
        ("broktana/1", "other"),
        ("unknown", "unknown"),
        ("  ", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_family_of_a_user_agent(agent, expected):
    assert family(agent) == expected
