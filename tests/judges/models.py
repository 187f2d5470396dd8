"""scim2-models' model of a user, built from this service's schemas."""

from typing import Any

from scim2_models import ResourceType, Schema, ScimFilter, ScimProvider

from scim_api.protocol.discovery import declaration, resource_type_document
from scim_api.protocol.schema.resource_types import USER

BASE_URL = "http://localhost/scim/v2"


def _described() -> ScimProvider:
    schemas = [Schema.model_validate(declaration(s)) for s in (USER.schema, *USER.extensions)]
    resource_type = ResourceType.model_validate(resource_type_document(USER, BASE_URL))
    return ScimProvider.from_discovery(schemas, [resource_type])


PROVIDER = _described()
UserModel: Any = PROVIDER.model_for(PROVIDER.resource_types[0])
UserFilter: Any = ScimFilter.__class_getitem__(UserModel)
