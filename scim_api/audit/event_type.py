"""What filters over events are about: the attributes of an event."""

from projections.query.model import Type
from scim_api.protocol.schema.attributes import Attribute, Records

EVENT = Records.of(
    "Event",
    "Something that happened, as the ledger recorded it.",
    Attribute("position", "Its place in the ledger, counted from 1.", Type.INTEGER),
    Attribute("at", "When it was recorded.", Type.DATE_TIME, case_exact=True),
    Attribute("type", "What happened, such as Deactivated.", case_exact=True),
    Attribute("stream", "What it happened to, such as User-<id>.", case_exact=True),
    Attribute("resourceType", "The kind of that: User, Group, Credential.", case_exact=True),
    Attribute("userName", "The name, then, of the user it happened to."),
    Attribute("actor", "The id of the credential that caused it, or operator.", case_exact=True),
    Attribute("credential", "The name of that credential, as it was given to it."),
    Attribute("via", "The way it came, such as scim.patch or cli.", case_exact=True),
    Attribute("txn", "The id that the events of one request share.", case_exact=True),
    Attribute("client", "The family of the client, such as Okta.", case_exact=True),
    Attribute("requestId", "The id of the request that caused it.", case_exact=True),
    Attribute("operator", "The name of who typed the command that caused it.", case_exact=True),
)
