-- Current state: one row a resource. {s} is empty, or the suffix of tables being rebuilt.
-- Few indexes, and keys that grow: what every write pays.

CREATE TABLE resource{s} (
  position INTEGER PRIMARY KEY,  -- of the Created event: the order of every list
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  name_key TEXT NOT NULL,        -- the unique name, folded
  external_id TEXT,
  display TEXT NOT NULL,         -- what others show of it: displayName, or else the name
  version INTEGER NOT NULL,
  members INTEGER NOT NULL,      -- how many it has, as a group
  document BLOB NOT NULL         -- the answer's bytes, but for base URL, groups, members
) STRICT;
CREATE UNIQUE INDEX resource{s}_id ON resource{s} (id);
CREATE UNIQUE INDEX resource{s}_name ON resource{s} (type, name_key);
CREATE INDEX resource{s}_external ON resource{s} (external_id) WHERE external_id IS NOT NULL;
-- It ends with the position as every index does; named here as well, the position would be sought in
-- every combination of two lists of positions.
CREATE INDEX resource{s}_type ON resource{s} (type);

-- Every e-mail address of a resource, folded: clients look users up by any of them.
CREATE TABLE resource_email{s} (
  email_key TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (email_key, position)
) STRICT, WITHOUT ROWID;

-- How many resources of a type were created in each block of so many positions, in small blocks and
-- large ones: totals without counting, and deep pages without skipping row by row.
CREATE TABLE resource_census{s} (
  type TEXT NOT NULL,
  size INTEGER NOT NULL,         -- of the block
  block INTEGER NOT NULL,        -- its first position, divided by its size
  live INTEGER NOT NULL,
  PRIMARY KEY (type, size, block)
) STRICT, WITHOUT ROWID;

-- Who is a member of which group; a change of one member is a change of one row.
CREATE TABLE member{s} (
  group_position INTEGER NOT NULL,
  member_id TEXT NOT NULL,       -- also an id that no resource has, where the policy keeps it
  member_type TEXT NOT NULL,
  PRIMARY KEY (group_position, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member{s}_groups ON member{s} (member_id, group_position);

-- Who ever left a group: what is shown of them changed without a new version of their own.
CREATE TABLE former_member{s} (
  member_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Which attributes of the operator's schemas are unique, and who has which value of them.
CREATE TABLE unique_attribute{s} (
  type TEXT NOT NULL,
  key TEXT NOT NULL,             -- as in payloads: URN, colon, name
  form TEXT NOT NULL,            -- how values compare: exact, folded or number
  PRIMARY KEY (type, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE unique_value{s} (
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  value_key TEXT NOT NULL,       -- in the attribute's form
  position INTEGER NOT NULL,     -- of whoever has it: one, but where older programs let two
  PRIMARY KEY (type, key, value_key, position)
) STRICT, WITHOUT ROWID;

-- Users whose `active` was unassigned and not given again, with the event that did it.
CREATE TABLE unassigned_active{s} (
  resource_position INTEGER PRIMARY KEY,
  event_position INTEGER NOT NULL
) STRICT;
