"""PATCH (RFC 7644 §3.5.2): its message, its operations, and what they make of a resource."""
