"""Read, decide, append: what a SCIM request does."""
