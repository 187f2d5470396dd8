"""The ledger's own HTTP API, under /ledger/v1: what auditors and operators ask, read only."""
