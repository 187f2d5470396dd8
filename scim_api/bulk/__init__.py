"""/Bulk: several operations in one request (RFC 7644 §3.7)."""
