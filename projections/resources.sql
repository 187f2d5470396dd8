-- Current state: one row a resource. {s} is empty, or the suffix of tables being rebuilt.
-- Few indexes, and keys that grow: what every write pays.

CREATE TABLE resource{s} (
  position INTEGER PRIMARY KEY,  -- of the Created event: the order of every list
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  name_key TEXT NOT NULL,        -- the unique name, folded
  external_id TEXT,
  version INTEGER NOT NULL,
  document BLOB NOT NULL         -- the answer's bytes, but for base URL and groups
) STRICT;
CREATE UNIQUE INDEX resource{s}_id ON resource{s} (id);
CREATE UNIQUE INDEX resource{s}_name ON resource{s} (type, name_key);
CREATE INDEX resource{s}_external ON resource{s} (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX resource{s}_type ON resource{s} (type, position);

-- Every e-mail address of a resource, folded: clients look users up by any of them.
CREATE TABLE resource_email{s} (
  email_key TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (email_key, position)
) STRICT, WITHOUT ROWID;

-- How many resources of a type were created in each block of positions: totals without counting,
-- and deep pages without skipping row by row.
CREATE TABLE resource_census{s} (
  type TEXT NOT NULL,
  block INTEGER NOT NULL,
  live INTEGER NOT NULL,
  PRIMARY KEY (type, block)
) STRICT, WITHOUT ROWID;
