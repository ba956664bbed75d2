//! Why a logout token is not acted on: one closed list.

use crate::words::closed_list;

closed_list! {
    /// What is wrong with a logout request.
    ///
    /// The list is closed and [`Refusal::code`] is stable: the same word stands in the code, in the log and in
    /// `docs/backchannel.md`.
    ///
    /// # Security
    ///
    /// [`Refusal::cause`] is what the sender is told. It is a constant: nothing of the token, of the keys or of the
    /// configuration is in it. Claims are judged behind the signature, so whoever cannot sign learns nothing of what
    /// is expected of them.
    #[must_use]
    pub enum Refusal {
        /// The request has no form, or not exactly one `logout_token` in it.
        NoToken = "no_token"
            | "The body is not a form with exactly one logout_token."
            | "Register this address as the backchannel_logout_uri; providers post application/x-www-form-urlencoded to it.",
        /// The request or the token is beyond the caps; nothing was decoded.
        TooLarge = "too_large"
            | "The body or the token is larger than any that is accepted."
            | "Keep optional claims out of the provider's logout tokens; a token may have 16 KiB.",
        /// Not a JWS in its compact form.
        Malformed = "malformed"
            | "The logout token is not a signed JWT in its compact form."
            | "Look for a proxy that changes bodies; otherwise something else posts here.",
        /// A JWE.
        Encrypted = "encrypted"
            | "The logout token is encrypted, which is not supported."
            | "Register the client without id_token_encrypted_response_alg.",
        /// An algorithm that is not accepted: `none`, one with a shared secret, or one outside the allow-list.
        Algorithm = "algorithm"
            | "The logout token is not signed with an accepted algorithm."
            | "Set the client's id_token_signed_response_alg to one that is configured here: RS256 unless told otherwise.",
        /// Another kind of token, by its `typ`.
        Type = "type"
            | "The typ of the token is not that of a logout token."
            | "Nothing, if another kind of token was sent here; if this is the provider's logout token, it must say logout+jwt, or JWT, or nothing.",
        /// A header that must be understood (`crit`), and is not.
        Critical = "critical"
            | "The logout token has a critical header, and none is understood."
            | "Switch the extension off at the provider for this client.",
        /// None of the provider's keys, or not exactly one, is the one that the header means.
        UnknownKey = "unknown_key"
            | "The logout token does not name one of the issuer's keys."
            | "Check that the configured JWK Set is that of this issuer and has the key that it signs with now.",
        /// The signature does not hold.
        BadSignature = "bad_signature"
            | "The signature of the logout token does not hold."
            | "Check that the configured JWK Set is that of this issuer; otherwise somebody tries out forged tokens.",
        /// `iss`, `aud`, `iat`, `exp` or `jti` is missing, or a claim is of the wrong type.
        Claims = "claims"
            | "A claim that a logout token must have is missing, or is of the wrong type."
            | "The provider must send iss, aud, iat, exp and jti; without exp it is older than the final specification.",
        /// Of another issuer.
        Issuer = "issuer"
            | "The logout token is of another issuer."
            | "Configure the issuer exactly as the provider's metadata spell it, down to a final slash.",
        /// For another client, or for others too.
        Audience = "audience"
            | "The logout token is not for this client alone."
            | "Configure the client id that this app is registered with; name other audiences that you trust.",
        /// Expired.
        Expired = "expired"
            | "The logout token has expired."
            | "Set the clocks of both sides by NTP, and see why its delivery took so long.",
        /// It expires too far ahead.
        TooLong = "too_long"
            | "The logout token expires too far in the future."
            | "Let the provider's logout tokens live for two minutes, or accept longer ones.",
        /// Issued, or valid, only later than now.
        FromTheFuture = "from_the_future"
            | "The logout token is not valid yet."
            | "Set the clocks of both sides by NTP.",
        /// Its `events` do not say that it is a logout.
        NotALogout = "not_a_logout"
            | "The events of the token do not name a back-channel logout."
            | "Nothing, if another kind of token was sent here; otherwise the provider does not follow the specification.",
        /// Neither `sub` nor `sid`.
        Nobody = "nobody"
            | "The logout token names neither a subject nor a session."
            | "The provider must send sub, sid or both.",
        /// It has a `nonce`, as ID tokens do and logout tokens must not.
        Nonce = "nonce"
            | "The token has a nonce, so it is not a logout token."
            | "Somebody sends an ID token here; a provider never does.",
        /// It was acted on before.
        Replayed = "replayed"
            | "This logout token was acted on before."
            | "Nothing: the logout that it asks for has happened. The provider repeats itself, or somebody replays a token.",
    }
}

impl Refusal {
    /// Whether newer keys of the provider could change the answer.
    #[must_use]
    pub const fn may_be_for_lack_of_keys(self) -> bool {
        matches!(self, Self::UnknownKey | Self::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_code_of_its_own_and_two_sentences() {
        let codes: BTreeSet<_> = Refusal::ALL.into_iter().map(Refusal::code).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for (i, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, i);
            for sentence in [refusal.cause(), refusal.fix()] {
                assert!(sentence.ends_with('.') && sentence.len() > 20, "{refusal}: {sentence}");
            }
        }
    }
}
