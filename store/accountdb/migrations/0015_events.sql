-- Up to which number the cloud has what a device collected for a link, in each
-- queue the device ever had for it.
CREATE TABLE event_queues (
  link   BLOB NOT NULL REFERENCES links (id),
  queue  BLOB NOT NULL,
  stored INTEGER NOT NULL,
  PRIMARY KEY (link, queue)
);

-- What waits to be passed on to the brand, by the cloud that took it. The event
-- is sealed under the account's key.
CREATE TABLE events (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  account  BLOB NOT NULL REFERENCES accounts (id),
  link     BLOB NOT NULL REFERENCES links (id),
  node     TEXT NOT NULL,
  item     BLOB NOT NULL,
  decision BLOB NOT NULL,
  sealed   BLOB NOT NULL,
  stored   INTEGER NOT NULL,
  due      INTEGER NOT NULL,
  tries    INTEGER NOT NULL
);
CREATE INDEX events_by_due ON events (node, due);
CREATE INDEX events_by_account ON events (account);

-- What became of what a device collected and did not send, by its own report: n
-- is the number of the report's counts.
CREATE TABLE purged (
  link    BLOB NOT NULL REFERENCES links (id),
  queue   BLOB NOT NULL,
  key     TEXT NOT NULL,
  n       INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  held    INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  PRIMARY KEY (link, queue, key)
);
