//! Why a session is there, or why it is not: one closed list.

use crate::words::closed_list;

closed_list! {
    /// What was decided about the cookie that came with a request.
    ///
    /// The list is closed, one place decides ([`crate::judge`]), and [`Verdict::code`] is stable: the same
    /// word stands in the code, the log, the counters, the command line and the admin endpoint.
    ///
    /// ```
    /// use sealjar::Verdict;
    /// assert_eq!(Verdict::NoCookie.code(), "no_cookie");
    /// assert!(Verdict::NoCookie.fix().contains("credentials"));
    /// ```
    ///
    /// # Security
    ///
    /// A client should be told no more than "no session" (or 503 for [`Verdict::ListUnavailable`]); the
    /// sentences are for the operator.
    #[must_use]
    pub enum Verdict {
        /// The request had no cookie of our name.
        NoCookie = "no_cookie"
            | "The client sent no session cookie: it never got one, dropped it, or does not send cookies here."
            | "In a browser check Domain, Path, Secure and SameSite, and fetch with credentials; for curl use -c jar -b jar; in an API client switch its cookie jar on.",
        /// The value is not an envelope of ours.
        Malformed = "malformed"
            | "The cookie's value is not one of ours: cut off, re-encoded, or written by something else."
            | "Send the value back byte for byte as Set-Cookie gave it, and look for a proxy or client that rewrites cookies or uses the same name.",
        /// The header or the value is beyond the caps; nothing was decoded.
        TooLarge = "too_large"
            | "The Cookie header or the session's value is longer than any that we accept, so nothing was decoded."
            | "Clear this site's cookies in the client; if it comes back, find who sets so many or such large cookies on this domain.",
        /// Several cookies of our name, of different sessions.
        Duplicate = "duplicate"
            | "The client sent several session cookies of this name that belong to different sessions; a sibling host may have planted one."
            | "Log in again (all copies are being expired); use the __Host- default so that no sibling host can set this cookie.",
        /// No such key in the ring.
        UnknownKey = "unknown_key"
            | "The cookie was sealed under a key that this server does not have."
            | "Give every server the same keys folder; after a rotation check that the new key file has arrived here (sealjar keys list).",
        /// The key is out of service.
        RetiredKey = "retired_key"
            | "The cookie was sealed under a key that has been taken out of service."
            | "Log in again; if many see this, the key was retired before its longest-lived cookies had run out.",
        /// The key was declared leaked.
        CompromisedKey = "compromised_key"
            | "The cookie was sealed under a key that was declared leaked."
            | "Log in again; this is meant to be so and cannot be undone.",
        /// The seal does not hold: changed, or made for another app, cookie name or purpose.
        BadSeal = "bad_seal"
            | "The seal does not hold: the cookie was changed, or was made for another app id, cookie name or purpose."
            | "If the app id or cookie name was changed lately, change it back or let users log in again; otherwise somebody is trying out altered cookies.",
        /// A suite that this configuration does not accept.
        WrongSuite = "wrong_suite"
            | "The cookie is signed where encrypted ones are expected, or the other way round, or of a suite unknown here."
            | "Check that the reader and the writer of this cookie were built with the same suite, and that no two apps share its name.",
        /// Not used for longer than the idle lifetime.
        IdleExpired = "idle_expired"
            | "The session was not used for longer than its idle lifetime."
            | "Log in again; if this comes too early, raise .idle(..).",
        /// Older than the absolute lifetime.
        AbsoluteExpired = "absolute_expired"
            | "The session has reached its absolute lifetime, which use does not extend."
            | "Log in again; if this comes too early, raise .absolute(..) for sessions that begin from then on, or look for a server whose clock ran ahead.",
        /// Sealed, or born, later than now.
        FromTheFuture = "from_the_future"
            | "The cookie was sealed later than this server's clock, or born later than the revocation list's."
            | "Set the clocks of all servers by NTP; if the list was restored from an old copy, everybody has to log in again.",
        /// This session was revoked.
        RevokedSession = "revoked_session"
            | "This very session was logged out or revoked."
            | "Log in again; a copy of a logged-out cookie cannot come back to life.",
        /// All sessions of its subject were revoked.
        RevokedSubject = "revoked_subject"
            | "All sessions of this user that had begun by then were revoked (log out everywhere)."
            | "Log in again; sessions that begin after the revocation are not touched by it.",
        /// All sessions of its tenant were revoked.
        RevokedTenant = "revoked_tenant"
            | "All sessions of this tenant that had begun by then were revoked."
            | "Log in again; sessions that begin after the revocation are not touched by it.",
        /// All sessions with one of its labels were revoked.
        RevokedLabel = "revoked_label"
            | "All sessions with one of this session's labels (a device, a provider's session) were revoked."
            | "Log in again; sessions that begin after the revocation are not touched by it.",
        /// Everybody was logged out.
        RevokedAll = "revoked_all"
            | "Everybody who had a session by then was logged out, by an operator or because the revocation list was made anew."
            | "Log in again; if nobody did this on purpose, see whether the revocation list's file was lost.",
        /// An older copy: rights were taken away, or something was spent, since.
        Superseded = "superseded"
            | "This is an older copy of the cookie: rights were taken away or something was spent in the meantime."
            | "Use the newest cookie, or log in again if its response was lost on the way.",
        /// The seal holds, but the payload is not the app's type.
        Undecodable = "undecodable"
            | "The seal holds, but the payload does not fit the app's session type any more."
            | "Give new fields #[serde(default)], or raise .schema(..) and supply .migrate(..).",
        /// The revocation list is too old to decide by.
        ListUnavailable = "list_unavailable"
            | "The revocation list could not be read for too long, so nobody can tell whether this session was revoked."
            | "Bring the list back (its file or its server); the client keeps its cookie and may try again.",
        /// The session is live.
        Live = "live"
            | "The session is live."
            | "Nothing to do.",
    }
}

impl Verdict {
    /// The verdict with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.code() == code)
    }

    /// Whether the session may be used.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live)
    }

    /// Its place in [`Verdict::ALL`]; for counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_holds_each_once_at_its_own_index() {
        for (i, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict.index(), i);
            assert_eq!(Verdict::from_code(verdict.code()), Some(verdict));
        }
    }

    #[test]
    fn each_has_one_sentence_of_cause_and_one_of_fix() {
        for verdict in Verdict::ALL {
            for sentence in [verdict.cause(), verdict.fix()] {
                assert!(sentence.ends_with('.') && sentence.len() > 10, "{verdict}: {sentence}");
            }
        }
    }
}
