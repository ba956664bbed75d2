//! A configuration that has been checked: lifetimes, bounds, the cookie, the app's id.

use std::time::Duration;

use crate::cookie::CookieRules;
use crate::cookie::rules::CookieWishes;
use crate::error::Error;
use crate::revocation::node::MARGIN;
use crate::revocation::{Bounds, Profile};
use crate::seal::{Binding, Purpose};
use crate::time::{hours, minutes, whole_seconds};
use crate::wire::Suite;

/// How far apart the clocks of two servers may be.
pub const SKEW: Duration = minutes(1);
/// How long every process that watches a key folder may take to load a new file.
pub const PROPAGATION: Duration = Duration::from_secs(5);
/// How long the bytes of a key are kept that is out of service, in case it is wanted back.
pub const KEEP: Duration = hours(24);
/// Browsers cut lifetimes off at 400 days (RFC 6265bis, section 5.5), and so do we.
pub const MAX_LIFETIME: Duration = Duration::from_hours(400 * 24);

/// What a session is judged and sealed by. Cannot hold anything that was not checked.
#[derive(Clone, Debug)]
pub struct Config {
    app: String,
    cookie: CookieRules,
    binding: Binding,
    suite: Suite,
    idle: Duration,
    absolute: Duration,
    schema: u16,
    bounds: Bounds,
    propagation: Duration,
    rotate_every: Option<Duration>,
}

/// What the builder was told so far.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    pub(crate) cookie: CookieWishes,
    pub(crate) suite: Suite,
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) schema: u16,
    pub(crate) bounds: Bounds,
    pub(crate) propagation: Duration,
    pub(crate) rotate_every: Option<Duration>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            cookie: CookieWishes::default(),
            suite: Suite::Encrypted,
            idle: minutes(30),
            absolute: hours(12),
            schema: 0,
            bounds: Bounds::default(),
            propagation: PROPAGATION,
            rotate_every: None,
        }
    }
}

impl Wishes {
    /// Checks everything that can be checked without looking at a disk or a network.
    pub(crate) fn check(mut self, app: &str) -> Result<Config, Error> {
        check_app(app)?;
        check_lifetimes(self.idle, self.absolute)?;
        check_bounds(self.bounds)?;
        check_rotation(self.rotate_every, self.absolute, self.bounds)?;
        // A page's script reads a signed session; that is what the suite is for.
        self.cookie.http_only &= self.suite == Suite::Encrypted;
        let cookie = self.cookie.check(app)?;
        Ok(Config {
            app: app.to_owned(),
            binding: Binding::new(app, cookie.name(), Purpose::Session),
            cookie,
            suite: self.suite,
            idle: self.idle,
            absolute: self.absolute,
            schema: self.schema,
            bounds: self.bounds,
            propagation: self.propagation,
            rotate_every: self.rotate_every,
        })
    }
}

impl Config {
    /// The app's id. It is part of every seal and of every key derivation.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The cookie's name and attributes.
    #[must_use]
    pub const fn cookie(&self) -> &CookieRules {
        &self.cookie
    }

    /// What every cookie is bound to.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The one suite that is written and accepted.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// How long a session lasts without use.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// How long a session lasts at most.
    #[must_use]
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }

    /// A session that was used gets a new copy of its cookie at most this often: a tenth of idle.
    #[must_use]
    pub fn refresh(&self) -> Duration {
        self.idle / 10
    }

    /// The app's version of its payload type.
    #[must_use]
    pub const fn schema(&self) -> u16 {
        self.schema
    }

    /// How old the revocation list may be.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How long a new key file may take to reach every process.
    #[must_use]
    pub const fn propagation(&self) -> Duration {
        self.propagation
    }

    /// How old the newest key may be before the nodes make the next one; none where operators do that.
    #[must_use]
    pub const fn rotate_every(&self) -> Option<Duration> {
        self.rotate_every
    }

    /// What tools need to know to judge this cookie.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let (suite, idle, absolute) = (self.suite, self.idle, self.absolute);
        Profile { cookie: self.cookie.name().to_owned(), suite, idle, absolute, longest: absolute }
    }

    /// The configuration that a tool judges by, from what the app announced. The attributes do not
    /// matter to it; the name does, as it is part of the seal.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the profile holds what no app could have announced.
    pub fn of_profile(app: &str, profile: &Profile) -> Result<Self, Error> {
        let cookie = CookieWishes {
            name: Some(profile.cookie.clone()),
            secure: profile.cookie.starts_with("__"),
            ..CookieWishes::default()
        };
        let (suite, idle, absolute) = (profile.suite, profile.idle, profile.absolute);
        Wishes { cookie, suite, idle, absolute, ..Wishes::default() }.check(app)
    }
}

fn check_app(app: &str) -> Result<(), Error> {
    let plain = app.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if (3..=32).contains(&app.len()) && plain {
        return Ok(());
    }
    Err(Error::config(
        format!("the app id {app:?} is not made of 3 to 32 lower-case letters, digits and `-`"),
        "Choose one that no other app of yours has, such as \"shop\": every cookie is bound to it, and changing it later logs everybody out",
    ))
}

fn check_lifetimes(idle: Duration, absolute: Duration) -> Result<(), Error> {
    let (idle_seconds, absolute_seconds) = (whole_seconds(idle), whole_seconds(absolute));
    if idle > absolute {
        return Err(Error::config(
            format!(
                "the idle lifetime ({idle_seconds} s) is longer than the absolute one ({absolute_seconds} s), so it could never end a session"
            ),
            "Make `.idle(..)` the shorter of the two",
        ));
    }
    if idle_seconds < 10 {
        return Err(Error::config(
            format!("an idle lifetime of {idle:?} is below 10 s, and the cookie counts in whole seconds"),
            "Give `.idle(..)` at least 10 seconds; minutes are usual",
        ));
    }
    if absolute > MAX_LIFETIME {
        return Err(Error::config(
            format!(
                "an absolute lifetime of {} days is beyond the 400 days after which browsers drop any cookie",
                absolute.as_secs() / 86_400
            ),
            "Give `.absolute(..)` at most 400 days; revocations have to be kept that long too",
        ));
    }
    Ok(())
}

fn check_bounds(bounds: Bounds) -> Result<(), Error> {
    if bounds.fresh >= Duration::from_secs(1) && bounds.fresh <= bounds.lost && bounds.lost <= hours(1) {
        return Ok(());
    }
    Err(Error::config(
        format!("the revocation bound S ({:?}) and the limit H ({:?}) do not fit", bounds.fresh, bounds.lost),
        "Keep 1 s <= S <= H <= 1 h; 5 s and 60 s are the defaults",
    ))
}

/// So many keys may be in use at once, because a session under an old one lives on.
const KEYS_IN_USE: u32 = 20;

fn check_rotation(period: Option<Duration>, absolute: Duration, bounds: Bounds) -> Result<(), Error> {
    let Some(period) = period else { return Ok(()) };
    // One node that dies in the middle is waited for as long as this.
    let (rotation, keys) = (bounds.lost + MARGIN, absolute / KEYS_IN_USE);
    let least = rotation.max(keys).as_secs_f64().ceil();
    if period.as_secs_f64() >= least {
        return Ok(());
    }
    Err(Error::config(
        format!(
            "a new key every {period:?} is too often: a rotation may take {} s (H and the margin for a node that died), \
             and with sessions of {} s more than {KEYS_IN_USE} keys would be in use at once",
            rotation.as_secs(),
            whole_seconds(absolute)
        ),
        format!("Give `.rotate_every(..)` at least {least} s; 90 days are usual"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(app: &str, change: impl FnOnce(&mut Wishes)) -> String {
        let mut wishes = Wishes::default();
        change(&mut wishes);
        wishes.check(app).expect_err("this should be refused").to_string()
    }

    #[test]
    fn a_short_or_odd_app_id_is_refused() {
        assert_eq!(
            refusal("a", |_| {}),
            "the app id \"a\" is not made of 3 to 32 lower-case letters, digits and `-`. Choose one that no other app of \
             yours has, such as \"shop\": every cookie is bound to it, and changing it later logs everybody out"
        );
        for app in ["", "ab", "Shop", "my shop", "shop;", &"x".repeat(33)] {
            assert!(refusal(app, |_| {}).contains("the app id"), "{app}");
        }
    }

    #[test]
    fn idle_must_not_be_longer_than_absolute() {
        assert_eq!(
            refusal("shop", |w| w.idle = hours(13)),
            "the idle lifetime (46800 s) is longer than the absolute one (43200 s), so it could never end a session. \
             Make `.idle(..)` the shorter of the two"
        );
    }

    #[test]
    fn lifetimes_and_bounds_have_limits() {
        assert!(refusal("shop", |w| w.idle = Duration::from_secs(9)).contains("below 10 s"));
        assert!(refusal("shop", |w| w.absolute = MAX_LIFETIME + hours(24)).contains("401 days is beyond the 400"));
        assert!(refusal("shop", |w| w.bounds.fresh = Duration::ZERO).contains("do not fit"));
        assert!(refusal("shop", |w| w.bounds.lost = Duration::from_secs(4)).contains("do not fit"));
    }

    #[test]
    fn keys_are_not_rotated_more_often_than_a_rotation_takes() {
        let every = |seconds| move |w: &mut Wishes| w.rotate_every = Some(Duration::from_secs(seconds));
        let said = refusal("shop", every(2159));
        assert!(said.contains("a new key every 2159s is too often") && said.contains("more than 20 keys"), "{said}");
        assert!(said.ends_with("Give `.rotate_every(..)` at least 2160 s; 90 days are usual"), "{said}");
        let mut short = Wishes { idle: minutes(1), absolute: minutes(1), ..Wishes::default() };
        every(71)(&mut short);
        let said = short.clone().check("shop").unwrap_err().to_string();
        assert!(said.contains("at least 72 s"), "{said}");
        every(72)(&mut short);
        assert_eq!(short.check("shop").unwrap().rotate_every(), Some(Duration::from_secs(72)));
        assert_eq!(Wishes::default().check("shop").unwrap().rotate_every(), None, "off unless asked for");
    }

    #[test]
    fn only_a_signed_session_is_left_to_scripts() {
        let http_only = |suite| Wishes { suite, ..Wishes::default() }.check("shop").unwrap().cookie().is_http_only();
        assert!(http_only(Suite::Encrypted));
        assert!(!http_only(Suite::Signed));
    }
}
