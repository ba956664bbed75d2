//! The cookie as HTTP sees it: reading the `Cookie` header, writing `Set-Cookie`.

pub mod header;
pub mod line;
pub mod rules;

pub use header::{Candidates, find};
pub use rules::{CookieRules, SameSite};
