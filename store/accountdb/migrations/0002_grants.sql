-- What one owner allows one device, from the code it asked with to its family
-- of refresh tokens. Codes and tokens are hashes. code and user_code are
-- forgotten (NULL) some time after the code ended, account is NULL until the
-- owner said yes, and the name the owner gave is sealed under the account's key.
CREATE TABLE grants (
  id          TEXT PRIMARY KEY,
  state       TEXT NOT NULL, -- pending, approved, active, denied, revoked
  client      TEXT NOT NULL,
  scope       TEXT NOT NULL,
  kind        TEXT NOT NULL,
  model       TEXT NOT NULL,
  serial      TEXT NOT NULL,
  account     BLOB REFERENCES accounts (id),
  name_sealed BLOB,
  jkt         TEXT NOT NULL, -- the key it is bound to; empty: a bearer's
  code        BLOB UNIQUE,
  user_code   BLOB UNIQUE,
  network     BLOB NOT NULL,
  requested   INTEGER NOT NULL,
  expires     INTEGER NOT NULL, -- of the code
  decided     INTEGER NOT NULL,
  predecessor BLOB, -- NULL: the newest set of tokens was used
  successor   BLOB,
  token_set   INTEGER NOT NULL,
  asked       INTEGER NOT NULL,
  issued      INTEGER NOT NULL,
  rotated     INTEGER NOT NULL,
  wrong_keys  INTEGER NOT NULL,
  reused      INTEGER NOT NULL
);
CREATE INDEX grants_by_account ON grants (account);
CREATE INDEX grants_by_expiry ON grants (expires) WHERE code IS NOT NULL;

-- Refresh tokens that were given, so that an outdated one is recognised.
CREATE TABLE refresh_tokens (
  hash      BLOB PRIMARY KEY,
  grant_id  TEXT NOT NULL REFERENCES grants (id),
  token_set INTEGER NOT NULL
);
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id, token_set);

-- Proofs that were used, until their nonce is refused anyway.
CREATE TABLE proofs (
  hash       BLOB PRIMARY KEY,
  used_until INTEGER NOT NULL
);
CREATE INDEX proofs_by_end ON proofs (used_until);

-- The cloud's own keys, sealed under the master key.
CREATE TABLE secrets (
  name    TEXT PRIMARY KEY,
  sealed  BLOB NOT NULL,
  created INTEGER NOT NULL
);
