-- What a device is asked to do once. done is 0 until it has proved it.
CREATE TABLE orders (
  link    BLOB NOT NULL REFERENCES links (id),
  id      BLOB NOT NULL,
  kind    TEXT NOT NULL, -- identify, erase
  ordered INTEGER NOT NULL,
  done    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (link, id)
);

-- Since when a link's owner misses the device: nothing is given on it. 0: it is
-- not missed.
ALTER TABLE links ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;

-- When its owner gave the device away: its key makes no new link. 0: it works.
ALTER TABLE devices ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;

-- Accounts that were erased. proof is the hash of the secret with which its
-- former owner sees how far it has come; nothing here is personal.
CREATE TABLE erasures (
  account  BLOB PRIMARY KEY REFERENCES accounts (id),
  id       BLOB NOT NULL UNIQUE,
  proof    BLOB NOT NULL UNIQUE,
  received INTEGER NOT NULL,
  due      INTEGER NOT NULL,
  channel  TEXT NOT NULL
);
CREATE INDEX erasures_by_receipt ON erasures (received, id);

-- The devices of an erased account. bound is when one erases itself that hears
-- nothing more. erased is when its own signed report said so, missed when the
-- owner said that it is gone; both 0 if not.
CREATE TABLE erased_links (
  link    BLOB PRIMARY KEY REFERENCES links (id),
  account BLOB NOT NULL REFERENCES accounts (id),
  kind    TEXT NOT NULL,
  model   TEXT NOT NULL,
  bound   INTEGER NOT NULL,
  erased  INTEGER NOT NULL DEFAULT 0,
  missed  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX erased_links_by_account ON erased_links (account);
