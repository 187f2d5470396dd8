"""The request log: what was refused or changed nothing, beside the ledger, and what that means."""
