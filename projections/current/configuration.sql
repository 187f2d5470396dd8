-- What the ledger's operator configured, by the path it has in SettingsChanged events.
CREATE TABLE configuration{s} (
  key TEXT PRIMARY KEY,
  value TEXT,          -- JSON; NULL once unassigned
  version INTEGER NOT NULL  -- of the settings' stream when the key last changed
) STRICT;
CREATE INDEX configuration{s}_version ON configuration{s} (version);
