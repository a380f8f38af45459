-- A key of the owner's own, for WebAuthn. lookup is a keyed MAC of its id; what
-- it is and what the owner calls it are sealed under the account's key.
CREATE TABLE passkeys (
  lookup  BLOB PRIMARY KEY,
  account BLOB NOT NULL REFERENCES accounts (id),
  sealed  BLOB NOT NULL,
  name_sealed BLOB NOT NULL,
  created INTEGER NOT NULL,
  used    INTEGER NOT NULL,
  cloned  INTEGER NOT NULL DEFAULT 0 -- its counter once stood still or went back
);
CREATE INDEX passkeys_by_account ON passkeys (account);

-- When each way to sign in was last shown in a session; 0 is never. What the
-- browser calls itself is sealed under the account's key.
ALTER TABLE sessions ADD COLUMN passkey INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN password INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN code INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN browser_sealed BLOB;
UPDATE sessions SET password = created WHERE account IN (SELECT account FROM logins WHERE password <> '');
UPDATE sessions SET elsewhere = created WHERE password = 0;

-- When an answer from an address proved that it is the owner's, and when its
-- password was set by one; 0 is never.
ALTER TABLE logins ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE logins ADD COLUMN renewed INTEGER NOT NULL DEFAULT 0;

-- An address an owner says is theirs. It signs nobody in.
CREATE TABLE claims (
  account BLOB PRIMARY KEY REFERENCES accounts (id),
  email_sealed BLOB NOT NULL,
  created INTEGER NOT NULL
);

-- Browsers an account has signed in with. mark is a hash of account and secret.
CREATE TABLE browsers (
  mark    BLOB PRIMARY KEY,
  account BLOB NOT NULL REFERENCES accounts (id),
  used    INTEGER NOT NULL
);
CREATE INDEX browsers_by_account ON browsers (account);

-- How sure it was that the owner made an entry of the ledger: the level, and the
-- methods of RFC 8176.
CREATE TABLE assurances (
  account BLOB NOT NULL,
  seq     INTEGER NOT NULL,
  level   INTEGER NOT NULL,
  methods TEXT NOT NULL,
  PRIMARY KEY (account, seq)
);
