//! The tokens of the admin endpoint: 256 random bits, told once, kept as a hash, each with its scopes.
//!
//! A token says who may do what. It is no password of a person: nobody chooses one, so nobody can guess
//! one, and its hash needs no salt and no slow function.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::random;
use crate::secret::Secret;
use crate::time::Seconds;
use crate::wire;

use super::scope::Scopes;

/// What every token begins with, so that people and secret scanners recognise one.
pub const PREFIX: &str = "sealjar_admin_";

/// 32 bytes in base64url.
const DIGITS: usize = 43;

/// What people and audit records call a token by: the first 4 bytes of its hash. Opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 4]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// A token itself, as it is made and as a request brings it.
///
/// # Security
///
/// Wiped when dropped; `Debug` shows nothing. [`Token::tell`] is for the one moment in which it is made.
#[derive(Debug)]
pub struct Token(Secret);

impl Token {
    /// Makes one, with 256 bits from the kernel.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn generate() -> Result<Self, Error> {
        random::kernel().map(Secret::new).map(Self)
    }

    /// Reads what a request brought; nothing if no token looks like that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == DIGITS)?;
        let bytes = Zeroizing::new(wire::decode(digits)?);
        <[u8; 32]>::try_from(&bytes[..]).ok().map(Secret::new).map(Self)
    }

    /// Its text, for whoever is going to use it.
    #[must_use]
    pub fn tell(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(wire::encode(self.0.expose()));
        Zeroizing::new([PREFIX, &digits].concat())
    }

    /// What is kept of it.
    fn hash(&self) -> Hash {
        Hash(Sha256::digest(self.0.expose()).into())
    }
}

/// SHA-256 of a token. Equality takes the same time whatever the bytes are.
#[derive(Clone)]
struct Hash([u8; 32]);

/// What is kept of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownToken {
    sha256: Hash,
    /// What its owner called it.
    pub name: String,
    /// What it is good for.
    pub scopes: Scopes,
    /// When it was made, in Unix seconds.
    pub created: u32,
    /// When it ends, in Unix seconds; never, if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
}

impl KnownToken {
    /// What it is called by.
    #[must_use]
    pub fn id(&self) -> TokenId {
        let [a, b, c, d, ..] = self.sha256.0;
        TokenId([a, b, c, d])
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: Seconds) -> bool {
        self.expires.is_some_and(|end| end <= now.0)
    }
}

/// The tokens of one endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenBook {
    tokens: Vec<KnownToken>,
}

/// The most that one book holds: finding one looks at all of them.
const MOST: usize = 1000;

impl TokenBook {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is none of ours. It does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| {
            let problem = format!("it is no list of tokens (line {}, column {})", error.line(), error.column());
            Error::config(
                problem,
                "Restore it from a backup, or remove it and make new tokens with `sealjar token new`",
            )
        })
    }

    /// The text of its file.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Adds a token.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when it would be good for nothing, its name is unfit, or there are 1,000 already.
    pub fn add(
        &mut self,
        token: &Token,
        name: &str,
        scopes: Scopes,
        now: Seconds,
        expires: Option<Seconds>,
    ) -> Result<TokenId, Error> {
        if scopes.iter().next().is_none() {
            return Err(Error::usage(
                "a token without a scope is good for nothing",
                "Give it one with --scope, such as read,revoke",
            ));
        }
        if name.chars().count() > 64 || name.chars().any(char::is_control) {
            return Err(Error::usage(
                "that name is longer than 64 characters or holds control characters",
                "Call the token by who uses it, such as `on-call`",
            ));
        }
        if self.tokens.len() >= MOST {
            return Err(Error::usage(
                format!("there are {MOST} tokens already"),
                "Revoke those that nobody uses: `sealjar token list`, `sealjar token revoke ID`",
            ));
        }
        let known = KnownToken {
            sha256: token.hash(),
            name: name.to_owned(),
            scopes,
            created: now.0,
            expires: expires.map(|end| end.0),
        };
        let id = known.id();
        self.tokens.push(known);
        Ok(id)
    }

    /// Takes a token out; says whether it was there.
    pub fn remove(&mut self, id: TokenId) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.id() != id);
        self.tokens.len() < before
    }

    /// All of them, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &KnownToken> {
        self.tokens.iter()
    }

    /// The token with this id, unless there is none or it is over.
    #[must_use]
    pub fn current(&self, id: TokenId, now: Seconds) -> Option<&KnownToken> {
        self.tokens.iter().find(|token| token.id() == id && !token.is_over(now))
    }

    /// The token that a request brought, unless it is unknown or over.
    ///
    /// # Security
    ///
    /// Compares hashes, all of them, each in constant time: how long it takes tells nothing.
    #[must_use]
    pub fn find(&self, presented: &Token, now: Seconds) -> Option<&KnownToken> {
        let hash = presented.hash();
        let same = |known: &KnownToken| bool::from(known.sha256.0.ct_eq(&hash.0));
        let found = self.tokens.iter().fold(None, |found, known| if same(known) { Some(known) } else { found });
        found.filter(|known| !known.is_over(now))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&wire::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = wire::decode(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("not a SHA-256"))
    }
}

impl FromStr for TokenId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.len() == 8 && text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'a'..=b'f'));
        u32::from_str_radix(text, 16).ok().filter(|_| digits).map(|n| Self(n.to_be_bytes())).ok_or_else(|| {
            Error::usage(
                "a token's id is 8 hexadecimal digits",
                "Take it from `sealjar token list`; never type the token itself",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::scope::Scope;

    const NOW: Seconds = Seconds(1_795_447_200);

    fn book() -> (TokenBook, Token) {
        let (mut book, token) = (TokenBook::default(), Token::generate().unwrap());
        book.add(&token, "on-call", Scopes::of(&[Scope::Revoke, Scope::Read]), NOW, Some(Seconds(NOW.0 + 60))).unwrap();
        (book, token)
    }

    #[test]
    fn a_token_is_told_read_back_and_found_until_it_is_over() {
        let (book, token) = book();
        let text = token.tell();
        assert!(text.starts_with("sealjar_admin_") && text.len() == 57, "a form that scanners can look for");
        let back = Token::parse(&text).unwrap();
        let known = book.find(&back, NOW).unwrap();
        assert_eq!((known.name.as_str(), known.scopes.to_string().as_str()), ("on-call", "read,revoke"));
        assert!(book.find(&back, Seconds(NOW.0 + 59)).is_some());
        assert!(book.find(&back, Seconds(NOW.0 + 60)).is_none(), "over");
        let is_current = |after| book.current(known.id(), Seconds(NOW.0 + after)).is_some();
        assert!(is_current(59) && !is_current(60), "whoever listens is looked up by the id");
        assert!(book.find(&Token::generate().unwrap(), NOW).is_none());
    }

    #[test]
    fn only_the_one_form_is_read() {
        let (_, token) = book();
        let text = token.tell().to_string();
        for wrong in [
            "",
            "sealjar_admin_",
            &text[1..],
            &text[..56],
            &format!("{text}A"),
            &format!(" {text}"),
            &text.to_uppercase(),
        ] {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_file_holds_no_token_and_reads_back() {
        let (mut book, token) = book();
        let text = book.to_text();
        assert!(!text.contains(&token.tell()[PREFIX.len()..]) && !text.contains(PREFIX));
        let again = TokenBook::parse(&text).unwrap();
        assert_eq!(again.to_text(), text);
        let id = again.find(&token, NOW).unwrap().id();
        assert_eq!(id.to_string().parse::<TokenId>().unwrap(), id);
        assert!(book.remove(id) && !book.remove(id));
        assert!(book.find(&token, NOW).is_none());
        for junk in ["", "{}", "[]", "{\"tokens\":[{\"sha256\":\"AA\"}]}"] {
            assert!(!TokenBook::parse(junk).unwrap_err().to_string().contains("AA"), "{junk}");
        }
    }

    #[test]
    fn nothing_shows_a_token() {
        let (book, token) = book();
        let said = format!("{token:?} {book:?}");
        assert!(!said.contains(&token.tell()[PREFIX.len()..]));
        assert!(said.contains("Token(Secret(..))") && said.contains("Hash(..)"));
    }
}
