"""docs/auditing.md: the company of its examples, and the runner of its commands."""
