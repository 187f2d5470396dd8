"""The request log of a ledger: requests that were refused or changed nothing, and why."""
