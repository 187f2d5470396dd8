"""The ledger in SQLite, and the only home of SQLite's API."""
