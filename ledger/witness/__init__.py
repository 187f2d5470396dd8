"""A witness: watches another ledger's heads and co-signs what only grew."""
