-- How an owner signs in. lookup is a keyed MAC of the e-mail address, so that
-- it is found without standing here; the address itself is sealed under the
-- account's key. password is a PHC string with salt and parameters.
CREATE TABLE logins (
  lookup       BLOB PRIMARY KEY,
  account      BLOB NOT NULL UNIQUE REFERENCES accounts (id),
  email_sealed BLOB NOT NULL,
  password     TEXT NOT NULL,
  changed      INTEGER NOT NULL
);

-- Who is signed in. hash is SHA-256 of the browser's secret.
CREATE TABLE sessions (
  hash    BLOB PRIMARY KEY,
  account BLOB NOT NULL REFERENCES accounts (id),
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_expiry ON sessions (expires);
