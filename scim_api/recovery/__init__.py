"""Recovery: a backup put back in place of a ledger, and a ledger in place that lost events."""
