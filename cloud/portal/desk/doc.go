// Package desk is what every page of the portal stands on: who is asking, the
// forms that come back, the frame around a page, and what is said where there is
// no answer.
//
// What it promises:
//
//   - The pages work without JavaScript, load nothing from elsewhere, and carry
//     no style or script of their own: one style sheet, and a content security
//     policy under which nothing else could act. They are never cached.
//   - Every change is a POST from one of these pages: it carries a token that
//     only a page given to the same browser can know.
//   - A session is 256 random bits that only the browser keeps; its hash is
//     stored, and it ends after 30 days or by signing out.
//   - After signing in one comes back only to pages of the portal.
//
// A room of the portal has a Desk and [Pages] of its own. The account is an
// argument everywhere below the handlers; nothing but the session decides whose
// it is.
package desk
