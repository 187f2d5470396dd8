"""The users of the benchmark, no two alike, in the bodies that Okta sends."""

from typing import Any

from scim_api.protocol.patch.message import PATCH_URN
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER_URN

Body = dict[str, Any]

_GIVEN = (
    "Ada Amara Bruno Chiara Dmitri Élodie Fatima Grace Hana Ivan Jürgen Kofi Lucía Maximiliane"
    " Noah Olga Petra Quentin Rosa Søren Tara Uma Wanda"
).split()
_FAMILY = (
    "Abebe Bianchi Castro Dubois Eriksen Fischer García Haddad Ito Jansen Kaya Lindqvist Mensah"
    " Nguyen Okafor Patel Quist Rossi Sato Tanaka Usman Vogel Wagner Xu Yilmaz Zimmermann"
    " Oyelaran-Whitfield Björk Novák"
).split()
_DEPARTMENTS = "Engineering Sales Support Finance People Legal Research".split()
_LEVELS = ("Associate", "Specialist", "Senior Specialist", "Lead", "Director")
_CITIES = "Lisbon Oslo Nairobi Kyoto Toronto".split()


def user_name(number: int) -> str:
    """Return the userName of a numbered user."""
    return f"user.{number:07d}@example.com"


def external_id(number: int) -> str:
    """Return the externalId of a numbered user: Okta's own id of it."""
    return f"00ub{number:016d}"


def created(number: int) -> Body:
    """Return Okta's POST that creates a numbered user: a mapped profile, about 1 KB."""
    given, family = _GIVEN[number % len(_GIVEN)], _FAMILY[number // 7 % len(_FAMILY)]
    return {
        "schemas": [USER_URN, ENTERPRISE_URN],
        "userName": user_name(number),
        "name": {"givenName": given, "familyName": family},
        "emails": [{"primary": True, "value": user_name(number), "type": "work"}],
        "phoneNumbers": [{"primary": True, "value": f"+1 555 {number:07d}", "type": "work"}],
        "displayName": f"{given} {family}",
        "title": _title(number, 0),
        "locale": "en-US",
        "externalId": external_id(number),
        "groups": [],
        "password": f"pass-{number}",
        "active": True,
        ENTERPRISE_URN: _employment(number),
    }


def full(number: int) -> Body:
    """Return the POST of a user with all that Okta maps by default, about 1.6 KB."""
    body = created(number)
    city = _CITIES[number % len(_CITIES)]
    body["name"] |= {
        "middleName": _GIVEN[number * 5 % len(_GIVEN)],
        "honorificPrefix": ("Ms", "Mr", "Dr")[number % 3],
        "formatted": body["displayName"],
    }
    body["emails"] = [
        *body["emails"],
        {"value": f"private.{number}@mail.example.net", "type": "home"},
    ]
    body["phoneNumbers"] = [
        *body["phoneNumbers"],
        {"value": f"+1 666 {number:07d}", "type": "mobile"},
    ]
    body["addresses"] = [
        {
            "streetAddress": f"{number % 900 + 1} Long Street",
            "locality": city,
            "region": f"{city} Region",
            "postalCode": f"{number % 100_000:05d}",
            "country": ("PT", "NO", "KE", "JP", "CA")[number % 5],
            "type": "work",
            "primary": True,
        }
    ]
    body[ENTERPRISE_URN] |= {
        "division": f"Division {number % 12}",
        "manager": {"value": user_name(number // 8)},
    }
    return body | {
        "nickName": body["name"]["givenName"],
        "profileUrl": f"https://intranet.example.com/people/{number}",
        "preferredLanguage": "en-US",
        "timezone": "Europe/Lisbon",
        "userType": ("Employee", "Contractor")[number % 10 == 0],
    }


def _employment(number: int) -> Body:
    return {
        "employeeNumber": str(1_000_000 + number),
        "costCenter": f"CC-{number % 97:03d}",
        "organization": f"Example {_CITIES[number % len(_CITIES)]}",
        "department": _DEPARTMENTS[number % len(_DEPARTMENTS)],
    }


def _title(number: int, change: int) -> str:
    step = number + change
    return f"{_LEVELS[step % len(_LEVELS)]}, {_DEPARTMENTS[number % len(_DEPARTMENTS)]}"


def replaced(number: int, id_: str, change: int) -> Body:
    """Return a PUT of a whole profile with a title other than the previous one."""
    body = created(number)
    del body["password"]
    return body | {"id": id_, "meta": {"resourceType": "User"}, "title": _title(number, change)}


def activated(active: bool) -> Body:
    """Return the PATCH with which Okta deactivates or reactivates a user."""
    operation = {"op": "replace", "value": {"active": active}}
    return {"schemas": [PATCH_URN], "Operations": [operation]}


def joined(member: str) -> Body:
    """Return the PATCH with which Okta adds a member to a group."""
    operation = {"op": "add", "path": "members", "value": [{"value": member, "display": member}]}
    return {"schemas": [PATCH_URN], "Operations": [operation]}
