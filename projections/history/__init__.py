"""The past: versions of resources, memberships as intervals, and an index of events."""
