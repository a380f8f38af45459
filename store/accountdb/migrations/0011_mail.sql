-- Mail that waits to be sent, sealed under its account's key. due is when it is
-- tried next, and moves ahead while somebody tries; ends is when it is given up.
CREATE TABLE mail (
  id      BLOB PRIMARY KEY,
  account BLOB NOT NULL REFERENCES accounts (id),
  sealed  BLOB NOT NULL,
  due     INTEGER NOT NULL,
  ends    INTEGER NOT NULL,
  tries   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX mail_by_due ON mail (due);

-- Codes that were sent to addresses. lookup is a keyed MAC of the address, what
-- the code is for, and the browser that asked; code is one of the code. address
-- counts how many were asked for an address.
CREATE TABLE mail_codes (
  id      BLOB PRIMARY KEY,
  lookup  BLOB NOT NULL,
  address BLOB NOT NULL,
  code    BLOB NOT NULL,
  tries   INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX mail_codes_by_address ON mail_codes (address, created);
CREATE INDEX mail_codes_by_lookup ON mail_codes (lookup);
CREATE INDEX mail_codes_by_creation ON mail_codes (created);

-- What a link in a mail can take back, once. hash is of the link's secret.
CREATE TABLE undos (
  hash    BLOB PRIMARY KEY,
  account BLOB NOT NULL REFERENCES accounts (id),
  what    TEXT NOT NULL,
  ref     BLOB NOT NULL, -- the grant, the session or the passkey
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX undos_by_expiry ON undos (expires);
