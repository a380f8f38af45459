-- When the device last named the links it holds without this one; 0: it holds
-- it, as far as is known.
ALTER TABLE presence ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;
