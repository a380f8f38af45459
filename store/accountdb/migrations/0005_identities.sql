-- Who an owner is at an OpenID provider. lookup is a keyed MAC of issuer and
-- subject; who it is stands nowhere else.
CREATE TABLE identities (
  lookup   BLOB PRIMARY KEY,
  account  BLOB NOT NULL REFERENCES accounts (id),
  provider TEXT NOT NULL, -- as the configuration calls it
  created  INTEGER NOT NULL
);
CREATE INDEX identities_by_account ON identities (account);
