-- When a device told that it may have lost what was stopped on it: each loss is
-- asked about once. confirmed is 0 until the owner has said what it may do again.
CREATE TABLE losses (
  link      BLOB NOT NULL REFERENCES links (id),
  loss      BLOB NOT NULL,
  reported  INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  PRIMARY KEY (link, loss)
);
