-- What authenticates requests: tokens, OAuth clients, and the grants that clients were given.
CREATE TABLE credential{s} (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,    -- Credential (a token), Client, Grant or ConnectCode
  name TEXT NOT NULL,
  issued_at TEXT NOT NULL,
  revoked_at TEXT,       -- revoked, removed or withdrawn
  user TEXT,             -- the id of the user whose own credential it is
  policy TEXT,           -- instead of the ledger's
  scopes TEXT NOT NULL,  -- what it may do, with spaces between
  networks TEXT NOT NULL, -- the only ones that it may be used from, with spaces between; none: any
  allows TEXT NOT NULL,  -- all, reads or nothing: whether it is paused
  client TEXT,           -- of a grant or a code: the client id, which begins with the client's home
  details TEXT NOT NULL, -- JSON: what only its kind has
  version INTEGER NOT NULL, -- of its stream
  seal TEXT              -- the hash of its first secret: it stays when secrets are replaced
) STRICT;
-- What proves a credential. Only the SHA-256 of a secret exists here.
CREATE TABLE secret{s} (
  sha256 TEXT PRIMARY KEY,
  credential TEXT NOT NULL,
  use TEXT NOT NULL,     -- bearer, client_secret, access, refresh, code, connect or assertion
  issued_at TEXT NOT NULL,
  expires_at TEXT,
  spent_at TEXT,         -- when it was redeemed, or replaced by another
  scopes TEXT,           -- instead of the credential's
  salt TEXT              -- of a redeemed one: its successors are derived with it
) STRICT, WITHOUT ROWID;
CREATE INDEX secret{s}_newest ON secret{s} (credential, use, issued_at);
CREATE INDEX secret{s}_expiry ON secret{s} (credential, expires_at);
