-- From here on the node of an event is empty while it waits for any cloud, and
-- names the one that passes it on at the moment, which began when it was due.
CREATE INDEX events_by_stored ON events (stored);

-- What was taken from a cloud that did not finish passing it on. It may have
-- written it: when it is back, it takes it out of its file.
CREATE TABLE events_overtaken (
  node TEXT NOT NULL,
  item BLOB NOT NULL,
  PRIMARY KEY (node, item)
);
