-- Attributes that the operator chose to index. A change of one is a row of another number.
CREATE TABLE attribute_index{s} (
  number INTEGER PRIMARY KEY,
  type TEXT NOT NULL,            -- of resources
  definition TEXT NOT NULL,      -- the attribute, as in SettingsChanged
  state TEXT NOT NULL            -- building, ready or retired
) STRICT;

-- Their values, in the form in which values compare. A resource without a value of an attribute that
-- has one at most has an empty blob: it comes after all others.
CREATE TABLE attribute_value{s} (
  number INTEGER NOT NULL,
  value_key ANY NOT NULL,
  position INTEGER NOT NULL,     -- of the resource
  PRIMARY KEY (number, value_key, position)
) STRICT, WITHOUT ROWID;
