-- The history: when which resources lived, with which names and keys, in which groups. What they were
-- is in the entries of their events. {s} is empty, or the suffix of tables being rebuilt. A row holds
-- from the position `since` to before the position `until`; what holds still has
-- 9223372036854775807 there.

-- One row a life: from the Created event of a resource to its Deleted event.
CREATE TABLE life{s} (
  born INTEGER PRIMARY KEY,      -- position of the Created event: the order of every list
  stream INTEGER NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  died INTEGER NOT NULL
) STRICT;
CREATE INDEX life{s}_id ON life{s} (id, born);
CREATE INDEX life{s}_stream ON life{s} (stream, born, died);
CREATE INDEX life{s}_type ON life{s} (type, born, died);

-- The names of a life: each holds until the next one.
CREATE TABLE life_name{s} (
  born INTEGER NOT NULL,
  since INTEGER NOT NULL,
  name_key TEXT NOT NULL,        -- the unique name, folded
  display TEXT NOT NULL,         -- what others show of it
  PRIMARY KEY (born, since)
) STRICT, WITHOUT ROWID;

-- What resources were looked up by, and when.
CREATE TABLE resource_key{s} (
  kind TEXT NOT NULL,            -- name, external (an id) or email
  key TEXT NOT NULL,             -- folded, but for external ids
  born INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (kind, key, born, since)
) STRICT, WITHOUT ROWID;

CREATE TABLE membership{s} (
  group_born INTEGER NOT NULL,
  member_id TEXT NOT NULL,
  member_type TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (group_born, member_id, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership{s}_member ON membership{s} (member_id, group_born, since, until);

-- How many resources of a type that were born in a block of positions lived, after each change; blocks
-- are of two sizes, as in the current state.
CREATE TABLE life_census{s} (
  type TEXT NOT NULL,
  size INTEGER NOT NULL,
  block INTEGER NOT NULL,
  position INTEGER NOT NULL,     -- of the change
  live INTEGER NOT NULL,
  PRIMARY KEY (type, size, block, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE census_block{s} (
  type TEXT NOT NULL,
  size INTEGER NOT NULL,
  block INTEGER NOT NULL,
  PRIMARY KEY (type, size, block)
) STRICT, WITHOUT ROWID;
