-- What a customer is to the brand: names in order, with a space between them.
ALTER TABLE accounts ADD COLUMN roles TEXT NOT NULL DEFAULT '';
