-- Facts about the whole database, such as its era.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
);

-- A customer. key_sealed is the account's own key under the master key; it is
-- set to NULL when the account is erased, and with it goes all sealed below.
CREATE TABLE accounts (
  id         BLOB PRIMARY KEY,
  subject    TEXT NOT NULL UNIQUE,
  key_sealed BLOB,
  name_sealed BLOB, -- what the owner likes to be called
  disabled   INTEGER NOT NULL DEFAULT 0,
  head_era   INTEGER NOT NULL DEFAULT 0,
  head_seq   INTEGER NOT NULL DEFAULT 0,
  head_hash  BLOB NOT NULL,
  created    INTEGER NOT NULL
);

-- The only way state changes: one row a decision, never changed. cursor orders
-- the entries of all accounts for the brand's change feed.
CREATE TABLE ledger (
  cursor     INTEGER PRIMARY KEY AUTOINCREMENT,
  account    BLOB NOT NULL REFERENCES accounts (id),
  seq        INTEGER NOT NULL,
  era        INTEGER NOT NULL,
  hash       BLOB NOT NULL,
  previous   BLOB NOT NULL,
  event      BLOB NOT NULL,
  act        TEXT NOT NULL,
  key        TEXT NOT NULL,
  version    INTEGER NOT NULL,
  notice     BLOB NOT NULL,
  preference TEXT NOT NULL,
  payload    BLOB NOT NULL,
  base_era   INTEGER NOT NULL,
  base_seq   INTEGER NOT NULL,
  base_hash  BLOB NOT NULL,
  device     TEXT NOT NULL, -- scope: empty is the whole account
  authoriser TEXT NOT NULL,
  channel    TEXT NOT NULL,
  link       BLOB NOT NULL,
  log        BLOB NOT NULL,
  n          INTEGER NOT NULL,
  recorded   INTEGER NOT NULL,
  UNIQUE (account, seq),
  UNIQUE (account, event)
);

-- What is personal in an entry, sealed under the account's key. The entry's
-- payload commits to it with the salt.
CREATE TABLE payloads (
  account BLOB NOT NULL,
  seq     INTEGER NOT NULL,
  salt    BLOB NOT NULL,
  sealed  BLOB NOT NULL,
  PRIMARY KEY (account, seq)
);

-- Which entry settles a preference at a scope.
CREATE TABLE settings (
  account    BLOB NOT NULL,
  preference TEXT NOT NULL,
  device     TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  PRIMARY KEY (account, preference, device)
);

CREATE TABLE devices (
  id         TEXT PRIMARY KEY, -- RFC 7638 thumbprint of the key
  public_key BLOB NOT NULL,    -- JWK
  kind       TEXT NOT NULL,
  model      TEXT NOT NULL,
  serial     TEXT NOT NULL,
  created    INTEGER NOT NULL
);

-- One account on one device. The statements issued to it stand in statements,
-- stored before they are sent. built_* say from what the newest was built.
CREATE TABLE links (
  id              BLOB PRIMARY KEY,
  account         BLOB NOT NULL REFERENCES accounts (id),
  device          TEXT NOT NULL REFERENCES devices (id),
  grant_id        TEXT NOT NULL UNIQUE,
  name_sealed     BLOB NOT NULL,
  key_sealed      BLOB NOT NULL,
  state           TEXT NOT NULL, -- live, closing, closed
  created         INTEGER NOT NULL,
  revision        INTEGER NOT NULL DEFAULT 0,
  built_era       INTEGER NOT NULL DEFAULT 0,
  built_seq       INTEGER NOT NULL DEFAULT 0,
  built_hash      BLOB NOT NULL,
  built_catalogue BLOB NOT NULL,
  have_revision   INTEGER NOT NULL DEFAULT 0,
  have_hash       BLOB NOT NULL,
  applied         INTEGER NOT NULL DEFAULT 0,
  last_seen       INTEGER NOT NULL DEFAULT 0,
  clock           TEXT NOT NULL DEFAULT '',
  forked          INTEGER NOT NULL DEFAULT 0,
  close_order     BLOB NOT NULL,
  seen_log        BLOB NOT NULL,
  seen_n          INTEGER NOT NULL DEFAULT 0,
  seen_hash       BLOB NOT NULL,
  rejected        BLOB NOT NULL
);
CREATE INDEX links_by_account ON links (account);
CREATE INDEX links_by_device ON links (device);

-- Every statement a device may still hold: the one it confirmed and those
-- issued since.
CREATE TABLE statements (
  link      BLOB NOT NULL REFERENCES links (id),
  revision  INTEGER NOT NULL,
  body      BLOB NOT NULL,
  body_hash BLOB NOT NULL,
  created   INTEGER NOT NULL,
  PRIMARY KEY (link, revision)
);

-- What was consumed of each device log, so that the same number with other
-- content is noticed.
CREATE TABLE log_entries (
  link BLOB NOT NULL REFERENCES links (id),
  log  BLOB NOT NULL,
  n    INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (link, log, n)
);

-- Who did what, without personal data.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  account BLOB NOT NULL,
  actor   TEXT NOT NULL,
  what    TEXT NOT NULL,
  detail  TEXT NOT NULL
);
