-- Credentials issued and revoked. Only the SHA-256 of a token exists here.
CREATE TABLE credential{s} (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  issued_at TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT,
  user TEXT,           -- the id of the user whose own credential it is
  policy TEXT,         -- instead of the ledger's
  scopes TEXT NOT NULL -- what it may do, with spaces between
) STRICT;
CREATE UNIQUE INDEX credential{s}_sha256 ON credential{s} (sha256);
