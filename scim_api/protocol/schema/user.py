"""The attributes of users, each declared once with its characteristics (RFC 7643 §4.1, §4.3)."""

from dataclasses import replace

from projections.query.model import Type
from scim_api.protocol.schema.attributes import Attribute, Mutability, Returned, Schema

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _complex(name: str, description: str, *subs: Attribute, many: bool = False) -> Attribute:
    return Attribute(name, description, Type.COMPLEX, multi_valued=many, sub_attributes=subs)


def _values(
    name: str,
    description: str,
    *types: str,
    value_type: Type = Type.STRING,
    reference_types: tuple[str, ...] = (),
) -> Attribute:
    """Declare a multi-valued attribute with the sub-attributes of RFC 7643 §2.4."""
    value = Attribute(
        "value",
        f"The value itself, one of the user's {name}.",
        value_type,
        case_exact=value_type in (Type.BINARY, Type.REFERENCE),
        reference_types=reference_types,
    )
    return _complex(name, description, value, *_labels(*types), many=True)


def _labels(*types: str) -> tuple[Attribute, ...]:
    return (
        Attribute("display", "A name for the value, for people to read."),
        Attribute("type", "What the value is for.", canonical_values=types),
        Attribute("primary", "True for the preferred value; at most one is.", Type.BOOLEAN),
    )


_NAME = _complex(
    "name",
    "The parts of the user's name.",
    Attribute("formatted", "The whole name as it is shown."),
    Attribute("familyName", "The family name, or last name."),
    Attribute("givenName", "The given name, or first name."),
    Attribute("middleName", "The middle names."),
    Attribute("honorificPrefix", "A title before the name, such as Dr."),
    Attribute("honorificSuffix", "A suffix after the name, such as III."),
)

_ADDRESSES = _complex(
    "addresses",
    "Postal addresses of the user.",
    Attribute("formatted", "The whole address as it is shown or printed."),
    Attribute("streetAddress", "Street, house number and what belongs to them."),
    Attribute("locality", "The city or town."),
    Attribute("region", "The state or region."),
    Attribute("postalCode", "The postal code."),
    Attribute("country", "The country, an ISO 3166-1 alpha-2 code."),
    Attribute("type", "What the address is for.", canonical_values=("work", "home", "other")),
    Attribute("primary", "True for the preferred address; at most one is.", Type.BOOLEAN),
    many=True,
)

_GROUPS = Attribute(
    "groups",
    "The groups the user belongs to, kept by this service.",
    Type.COMPLEX,
    multi_valued=True,
    mutability=Mutability.READ_ONLY,
    sub_attributes=tuple(
        replace(sub, mutability=Mutability.READ_ONLY)
        for sub in (
            Attribute("value", "The id of the group.", case_exact=True),
            Attribute(
                "$ref",
                "The URI of the group.",
                Type.REFERENCE,
                case_exact=True,
                reference_types=("User", "Group"),
            ),
            Attribute("display", "The group's name."),
            Attribute("type", "How the user belongs.", canonical_values=("direct", "indirect")),
        )
    ),
)

USER_SCHEMA = Schema(  # RFC 7643 §4.1
    USER_URN,
    "User",
    "A user account.",
    (
        Attribute(
            "userName",
            "The name the user signs in with; unique, whatever its case.",
            required=True,
            uniqueness="server",
        ),
        _NAME,
        Attribute("displayName", "The name shown to others."),
        Attribute("nickName", "The casual name."),
        Attribute(
            "profileUrl",
            "A page that describes the user.",
            Type.REFERENCE,
            case_exact=True,
            reference_types=("external",),
        ),
        Attribute("title", "The job title."),
        Attribute("userType", "How the user relates to the organisation."),
        Attribute("preferredLanguage", "Preferred languages, as in Accept-Language."),
        Attribute("locale", "The user's locale, such as en-US."),
        Attribute("timezone", "The user's time zone, such as Europe/Berlin."),
        Attribute("active", "False once the user is deactivated.", Type.BOOLEAN),
        Attribute(
            "password",
            "Accepted so that clients that always send one succeed, and dropped: never stored.",
            mutability=Mutability.WRITE_ONLY,
            returned=Returned.NEVER,
        ),
        _values("emails", "E-mail addresses.", "work", "home", "other"),
        _values(
            "phoneNumbers", "Phone numbers.", "work", "home", "mobile", "fax", "pager", "other"
        ),
        _values(
            "ims",
            "Instant messaging addresses.",
            *("aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
        ),
        _values(
            "photos",
            "Pictures of the user, by URI.",
            *("photo", "thumbnail"),
            value_type=Type.REFERENCE,
            reference_types=("external",),
        ),
        _ADDRESSES,
        _GROUPS,
        _values("entitlements", "What the user is entitled to."),
        _values("roles", "The user's roles."),
        _values("x509Certificates", "X.509 certificates, base64 DER.", value_type=Type.BINARY),
    ),
)

ENTERPRISE_SCHEMA = Schema(  # RFC 7643 §4.3
    ENTERPRISE_URN,
    "EnterpriseUser",
    "What organisations commonly record of a user.",
    (
        Attribute("employeeNumber", "The number the organisation gave the user."),
        Attribute("costCenter", "The cost centre."),
        Attribute("organization", "The organisation."),
        Attribute("division", "The division."),
        Attribute("department", "The department."),
        _complex(
            "manager",
            "The user's manager.",
            Attribute("value", "The id of the manager.", case_exact=True),
            Attribute(
                "$ref",
                "The URI of the manager.",
                Type.REFERENCE,
                case_exact=True,
                reference_types=("User",),
            ),
            Attribute("displayName", "The manager's name.", mutability=Mutability.READ_ONLY),
        ),
    ),
)
