//! **Sessions sealed into the cookie, revocable everywhere within a bound you choose.**
//!
//! A session's data lives encrypted in the user's own cookie, so the servers store nothing per user. A small
//! list holds only what was *taken back*: revoked sessions, users, keys. Every process keeps a copy of that
//! list in memory, so a request costs a few microseconds and no round trip, and yet "log out" logs out.
//! And every session that is empty says why.
//!
//! ```no_run
//! # #[cfg(all(feature = "warp", feature = "sqlite"))] mod app {
//! use sealjar::{Session, Sessions, hours, minutes};
//! use serde::{Deserialize, Serialize};
//! use warp::Filter;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Visitor { name: String }
//!
//! # async fn serve() -> Result<(), sealjar::Error> {
//! let sessions = Sessions::<Visitor>::builder("shop")       // the app's id: binds every cookie to it
//!     .keys("keys")                                         // made by `sealjar keys init`
//!     .list("sqlite:sealjar.db")                            // what was taken back
//!     .idle(minutes(30)).absolute(hours(12))
//!     .start().await?;
//!
//! let me = warp::path("me").and(sessions.open())
//!     .map(|s: Session<Visitor>| { let me = warp::reply::json(s.get()); s.reply(me) });
//! let login = warp::path!("login" / String).and(warp::post()).and(sessions.open())
//!     .then(|name: String, mut s: Session<Visitor>| async move {
//!         let said = s.login(&name, Visitor { name: name.clone() }).await.map(|_| "welcome");
//!         s.reply(said)                                     // sealjar::Error is a Reply
//!     });
//! # let _ = me.or(login);
//! # Ok(()) } }
//! ```
//!
//! ```text
//!  Cookie ─► found ─► opened ─► in time ─► not revoked ─► your type ─► handler ─► reply ─► Set-Cookie
//!              │         │          │           │              │                     only if something changed
//!              └─────────┴──────────┴───────────┴──────────────┴──► or an empty session, and the Verdict: why
//! ```
//!
//! # Where to begin
//!
//! - [`Sessions`] is configured once: [`Sessions::builder`]. The builder refuses what browsers would silently drop.
//! - [`Session`] is what a handler gets: `get`, `update`, `login`, `logout`, `logout_everywhere`, `reduce`,
//!   `offer_once` and `take_once`, `flash`.
//! - [`Verdict`] is why a session is there or not. It is a closed list with a cause and a fix for each.
//! - [`mod@warp`] is the filter. Other frameworks call [`Sessions::begin`] and [`Session::commit`].
//!
//! Import names one by one: `use sealjar::*` would bring in [`mod@warp`], and hide the framework of that name.
//!
//! # What it does not do
//!
//! - It does not count or list live sessions: nobody stores them.
//! - It does not merge what two requests changed at once: the response that arrives last wins.
//! - It does not hold more than a cookie can: about 2,900 bytes of data, in one cookie, never several.
//! - An old cookie restores old *content* unless the change went through [`Session::reduce`]. Money, stock and
//!   votes belong in a database.
//! - The list in Redis is in one slot of one primary: a cluster is not made use of.
//!
//! # Consistency
//!
//! A revocation is in force in its own process when the call returns, in other processes on the same file
//! within 0.2 s, on the same server within milliseconds, and nowhere later than S (5 s unless configured): no process trusts a list that is older. What a route
//! does then is its choice: [`Sessions::relaxed`], the default, [`Sessions::strict`]. The answer is 503 in the end, never a logout.
//!
//! # Security
//!
//! XAES-256-GCM or HMAC-SHA256 over published crates, no cryptography of our own, no unsafe code. The threat
//! model, `docs/threat-model.md`, names the test for each promise.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `warp` | yes | the filter |
//! | `redis` | yes | the revocation list in Redis or Valkey, for several hosts |
//! | `sqlite` | yes | the embedded revocation list |
//! | `backchannel` | no | the receiver of OpenID Connect Back-Channel Logout (includes `warp`) |
//! | `admin` | no | the admin endpoint |
//! | `cli` | no | the program `sealjar` |

#[cfg(feature = "admin")]
pub mod admin;
pub mod aead;
mod automatic;
#[cfg(feature = "backchannel")]
pub mod backchannel;
mod builder;
pub mod claims;
pub mod config;
pub mod cookie;
mod core;
mod core_keys;
mod core_metrics;
pub mod counters;
pub mod doctor;
pub mod error;
pub mod explain;
pub mod id;
pub mod io;
pub mod judge;
pub mod key;
#[cfg(feature = "backchannel")]
pub mod logout_token;
pub mod mac;
pub mod metrics;
pub mod operator;
pub mod payload;
pub mod quota;
pub mod random;
pub mod revocation;
pub mod ring;
pub mod rotation;
pub mod seal;
mod sealing;
pub mod secret;
mod session;
mod sessions;
pub mod time;
pub mod trouble;
pub mod verdict;
#[cfg(feature = "warp")]
pub mod warp;
pub mod wire;
mod words;
pub mod wrap;

pub use builder::Builder;
pub use cookie::SameSite;
pub use counters::Counters;
pub use error::Error;
pub use explain::Explanation;
pub use id::Handle;
pub use ring::KeyRing;
pub use session::{Login, Map, Payload, Request, Session, Stamp, Taken};
pub use sessions::{Old, Sessions};
pub use time::{days, hours, minutes};
pub use verdict::Verdict;
