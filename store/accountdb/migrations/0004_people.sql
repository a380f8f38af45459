-- What the owner of a device denies for all who use it: link is whose word it
-- is, and it ends with that link.
CREATE TABLE device_denials (
  device TEXT NOT NULL REFERENCES devices (id),
  key    TEXT NOT NULL,
  link   BLOB NOT NULL REFERENCES links (id),
  PRIMARY KEY (device, key)
);

-- How a link's person and its device stand. away: somebody else uses the device
-- now. boot is the boot that proved the newest statement, boot_before those that
-- proved earlier ones, 16 bytes each, the newest first.
CREATE TABLE presence (
  link        BLOB PRIMARY KEY REFERENCES links (id),
  away        INTEGER NOT NULL,
  boot        BLOB NOT NULL,
  boot_before BLOB NOT NULL
);
