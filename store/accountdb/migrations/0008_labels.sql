-- Devices without a screen ask under the label that is printed on them; label is
-- a keyed hash. The owner's yes counts after so many presses of their button.
ALTER TABLE grants ADD COLUMN label BLOB;
ALTER TABLE grants ADD COLUMN presses INTEGER NOT NULL DEFAULT 0;
CREATE INDEX grants_by_label ON grants (label, requested);
