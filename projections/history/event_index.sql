-- One row an event: what filters over events ask for, and what the event changed. {s} is empty, or
-- the suffix of tables being rebuilt.

-- Words that many events share: types, kinds of streams, actors, ways.
CREATE TABLE word{s} (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE stream{s} (
  number INTEGER PRIMARY KEY,    -- the position of its first event
  name TEXT NOT NULL UNIQUE
) STRICT;

-- What each index is for stands in order of position, which SQLite adds to its key.
CREATE TABLE entry{s} (
  position INTEGER PRIMARY KEY,
  at TEXT NOT NULL,              -- grows with position, so it needs no index
  stream INTEGER NOT NULL,
  version INTEGER NOT NULL,
  category INTEGER NOT NULL,     -- a word: what the stream is about, User of User-<id>
  type INTEGER NOT NULL,         -- a word, as the next two
  actor INTEGER NOT NULL,
  via INTEGER NOT NULL,
  txn ANY NOT NULL,              -- a UUID in 16 bytes, or text that is none, as the request's id
  request_id ANY,
  client TEXT,                   -- the family of the User-Agent; NULL if unknown or erased
  operator TEXT,
  content TEXT,                  -- JSON: the attributes of a resource that it set
  whole INTEGER NOT NULL         -- 1: or rather all attributes (contents.py)
) STRICT;
CREATE INDEX entry{s}_stream ON entry{s} (stream);
CREATE INDEX entry{s}_category ON entry{s} (category);
CREATE INDEX entry{s}_type ON entry{s} (type);
CREATE INDEX entry{s}_actor ON entry{s} (actor);
CREATE INDEX entry{s}_txn ON entry{s} (txn);
CREATE INDEX entry{s}_request ON entry{s} (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX entry{s}_whole ON entry{s} (stream) WHERE whole;
