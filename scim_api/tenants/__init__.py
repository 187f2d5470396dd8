"""The ledgers that are served, and what is configured for each."""
