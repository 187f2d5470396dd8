"""SCIM itself (RFC 7643, RFC 7644): no Flask, no I/O."""
