// Package desk is what every page of the portal stands on: who is asking, the
// forms that come back, the frame around a page, and what is said where there is
// no answer.
//
// What it promises:
//
//   - The pages work without JavaScript, load nothing from elsewhere, and carry
//     no style or script in themselves: one style sheet, scripts of our own from
//     the same place, and a content security policy under which nothing else could
//     act. They are never cached.
//   - A page that is looked at is told when something of its owner's has changed,
//     and nothing more. It ends with the session.
//   - A browser that sends Sec-GPC: 1 is heard before the page is made.
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
