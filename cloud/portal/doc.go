// Package portal is the owner's pages: sign in, pair a device, decide what
// devices may do, see what they do.
//
// What it promises:
//
//   - The pages work without JavaScript, load nothing from elsewhere, and carry
//     no style or script of their own: one style sheet, and a content security
//     policy under which nothing else could act. They are never cached.
//   - Opening a page changes nothing. Every change is a POST from one of these
//     pages: its origin is checked, and it carries a token that only a page
//     given to the same browser can know. Opening the link of a QR code shows
//     which device asks, and nothing more; it says what was asked and when, and
//     the code to compare, and Decline weighs as much as Approve.
//   - Nothing is ticked in advance. A purpose is asked facet by facet, each with
//     its own two equal buttons, and one press decides one thing. Taking back
//     takes as many presses as giving.
//   - A decision carries the head of the ledger and the notice of the page on
//     which it was made. A yes from an old page does not count against a no that
//     the page did not show.
//   - The page says what is known of the devices: where a change is in force
//     and since when, or the instant by which it is. All instants are UTC and
//     stand as machine-readable <time> elements with milliseconds.
//   - Who has an account can not be learned by signing in: an unknown address
//     and a wrong password get the same answer after the same work. Registering
//     tells whether an address is taken, at a bounded rate, since no mail is
//     sent that could tell only its owner.
//   - Passwords are kept as Argon2id. A session is 256 random bits that only the
//     browser keeps, its hash is stored, and it ends after 30 days or by signing
//     out. Tries are limited by address and by account, and so are the hashes
//     computed at a time.
//   - After signing in one comes back only to pages of the portal.
//
// The account is an argument everywhere below the handlers; nothing but the
// session decides whose it is.
package portal
