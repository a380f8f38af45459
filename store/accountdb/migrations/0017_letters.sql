-- awaits is the grant whose approval a letter tells of, until it is approved;
-- empty: it is to be sent. posted is since when.
ALTER TABLE mail ADD COLUMN awaits TEXT NOT NULL DEFAULT '';
ALTER TABLE mail ADD COLUMN posted INTEGER NOT NULL DEFAULT 0;
UPDATE mail SET posted = due;
CREATE INDEX mail_by_awaited ON mail (awaits) WHERE awaits <> '';
