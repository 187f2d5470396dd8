"""SCIM over HTTP: the routes of /scim/v2."""
