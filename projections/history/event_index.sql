-- The index of events: one row an event, for filters over them. {s} is empty, or the suffix of
-- tables being rebuilt. Each index is for eq in order of position, which SQLite adds to its key.

CREATE TABLE entry{s} (
  position INTEGER PRIMARY KEY,
  at TEXT NOT NULL,              -- grows with position, so it needs no index
  type TEXT NOT NULL,
  stream TEXT NOT NULL,
  actor TEXT NOT NULL,
  via TEXT NOT NULL,
  txn TEXT NOT NULL,
  client TEXT,                   -- the family of the User-Agent; NULL if unknown or erased
  request_id TEXT,
  operator TEXT,
  user_name TEXT,                -- folded: of the user it is about, in force after it
  category TEXT NOT NULL         -- what the stream is about: User of User-<id>
    GENERATED ALWAYS AS (substr(stream, 1, instr(stream || '-', '-') - 1)) VIRTUAL
) STRICT;
CREATE INDEX entry{s}_stream ON entry{s} (stream);
CREATE INDEX entry{s}_category ON entry{s} (category);
CREATE INDEX entry{s}_type ON entry{s} (type);
CREATE INDEX entry{s}_actor ON entry{s} (actor);
CREATE INDEX entry{s}_txn ON entry{s} (txn);
CREATE INDEX entry{s}_request ON entry{s} (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX entry{s}_user ON entry{s} (user_name) WHERE user_name IS NOT NULL;
