"""Whether a ledger is what it says: every event, the tree, the heads and the tables."""
