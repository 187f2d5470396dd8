-- The tree over the events' leaves and the heads signed over it (docs/ledger-format.md).
-- Statements run one by one inside one migration.

-- The inner hashes of the tree, 256 a row (C2SP tlog-tiles). Level 0, the leaves, stands with the
-- events. Follows from them: can be thrown away.
CREATE TABLE tile (
  level INTEGER NOT NULL CHECK (level >= 1),
  number INTEGER NOT NULL CHECK (number >= 0),
  hashes BLOB NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
  PRIMARY KEY (level, number)
) STRICT;

CREATE TABLE tree_head (
  number INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  signed_at TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT;

-- Erasures whose traces are yet to be removed from the files: positions of their Erased events.
CREATE TABLE purge (
  position INTEGER PRIMARY KEY REFERENCES event
) STRICT;

-- Nothing is said any more about what was forgotten. A small index of its own: what is asked with
-- every event is asked of one page.
CREATE INDEX event_erased ON event (stream) WHERE type = 'Erased';

CREATE TRIGGER event_stream_is_not_erased BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event INDEXED BY event_erased
  WHERE stream = NEW.stream AND type = 'Erased')
BEGIN SELECT raise(ABORT, 'ledger: no event follows an Erased event in its stream'); END;

CREATE TRIGGER tree_head_is_next BEFORE INSERT ON tree_head
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM tree_head)
BEGIN SELECT raise(ABORT, 'ledger: a tree head is appended with the next number'); END;

CREATE TRIGGER tree_head_does_not_shrink BEFORE INSERT ON tree_head
WHEN NEW.size < (SELECT size FROM tree_head ORDER BY number DESC LIMIT 1)
BEGIN SELECT raise(ABORT, 'ledger: a tree head is not smaller than the last one'); END;

CREATE TRIGGER tree_head_is_of_events BEFORE INSERT ON tree_head
WHEN NEW.size > (SELECT coalesce(max(position), 0) FROM event)
BEGIN SELECT raise(ABORT, 'ledger: a tree head is of events that are there'); END;

CREATE TRIGGER tree_head_is_not_updated BEFORE UPDATE ON tree_head
BEGIN SELECT raise(ABORT, 'ledger: tree heads are never changed'); END;

CREATE TRIGGER tree_head_is_not_deleted BEFORE DELETE ON tree_head
BEGIN SELECT raise(ABORT, 'ledger: tree heads are never deleted'); END;

-- The only change of the ledger's row: the origin that the Restored event just recorded bears.
DROP TRIGGER ledger_is_not_updated;

CREATE TRIGGER ledger_is_only_restored BEFORE UPDATE ON ledger
WHEN NEW.id IS NOT OLD.id
  OR NEW.opened_at IS NOT OLD.opened_at
  OR NEW.format IS NOT OLD.format
  OR NOT EXISTS (
    SELECT 1 FROM event
    WHERE position = (SELECT max(position) FROM event) AND type = 'Restored'
      AND json_extract(CAST(header AS TEXT), '$.ledger') = NEW.origin
  )
BEGIN SELECT raise(ABORT, 'ledger: the ledger keeps its origin until a Restored event'); END;
