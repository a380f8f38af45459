// Package language is what the cloud says to owners, in their language: English,
// German, Korean, Thai and Japanese.
//
// The words are data: messages/ROOM/LANGUAGE.toml, one file for each part of the
// pages and each language, built into the program. The message "title" of
// messages/devices/de.toml has the key "devices.title". A message may have
// placeholders, "{{.Name}}", and the forms that its language's plurals have by
// CLDR, "one" and "other". Every language has every message, with the same
// placeholders; the tests see to it, and that no page has words of its own.
//
// Which language a page speaks is its reader's choice, and without one what
// their browser asks for. The place a request comes from has no say: a device
// and its owner may be anywhere, and so may their address.
//
// Messages are text and never markup. What is put into one is escaped where it
// becomes part of a page, and kept apart from the text around it, so that a name
// in Arabic does not turn the sentence it stands in.
//
// Instants are UTC, and every one on a page has its exact form beside the words.
// Names of countries and languages come from CLDR.
//
// It is the only importer of the libraries for messages and for language tags.
package language
