-- What stood on the page on which an entry was decided: the version of the
-- purpose, the language it was shown in, and the hash of both together. signal:
-- the page said that the browser asks not to sell (Sec-GPC).
CREATE TABLE shown (
  account  BLOB NOT NULL REFERENCES accounts (id),
  seq      INTEGER NOT NULL,
  language TEXT NOT NULL,
  version  INTEGER NOT NULL,
  notice   BLOB NOT NULL,
  signal   INTEGER NOT NULL,
  PRIMARY KEY (account, seq)
);
