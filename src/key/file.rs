//! The text of a key file, and what is refused as a key.

use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::Secret;
use crate::wire;

/// The lines of a key file: comments, a magic line, then `name: value` each once.
pub(super) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// A secret by itself, as it stands in an environment variable.
    pub(super) fn alone(secret: &'a str) -> Self {
        Self(vec![("secret", secret)])
    }

    pub(super) fn parse(text: &'a str, magic: &str, names: &[&str]) -> Result<Self, Error> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        if lines.next() != Some(magic) {
            return Err(Error::key(
                format!("it does not begin with {magic}, so it is no key of ours or of another version"),
                "Make keys with `sealjar keys new`; a passphrase or bytes from elsewhere will not do",
            ));
        }
        let mut fields = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else {
                return Err(Error::key(
                    "it has a line without `name: value`",
                    "Restore the file from a backup of secrets",
                ));
            };
            if !names.contains(&name) || fields.iter().any(|&(seen, _)| seen == name) {
                return Err(Error::key(
                    "it has a line that is unknown or stands there twice",
                    "Restore the file from a backup of secrets",
                ));
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Result<&'a str, Error> {
        self.0.iter().find(|(found, _)| *found == name).map(|&(_, value)| value).ok_or_else(|| {
            Error::key(format!("its line `{name}:` is missing"), "Restore the file from a backup of secrets")
        })
    }

    pub(super) fn secret(&self) -> Result<Secret, Error> {
        let wrong = |problem: String| {
            Error::key(problem, "Make a key with `sealjar keys new`, or restore this one from a backup of secrets")
        };
        let bytes = wire::decode(self.get("secret")?)
            .map(Zeroizing::new)
            .ok_or_else(|| wrong("its secret is not base64url".into()))?;
        let bytes: Zeroizing<[u8; 32]> = <[u8; 32]>::try_from(bytes.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| wrong(format!("its secret has {} bytes instead of 32", bytes.len())))?;
        Ok(Secret::new(*bytes))
    }
}

/// Refuses what people put where random bytes belong. Random bytes fail none of these (below 2⁻⁴⁰).
pub(super) fn refuse_weak(bytes: &[u8; 32]) -> Result<(), Error> {
    let problem = if bytes.iter().all(|&b| b == bytes[0]) {
        "its secret is one byte over and over"
    } else if (1..=16).any(|period| bytes.iter().skip(period).eq(bytes.iter().take(32 - period))) {
        "its secret repeats itself"
    } else if bytes.iter().all(|b| (0x20..0x7f).contains(b)) {
        "its secret reads as text, so somebody typed it"
    } else if bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)) {
        "its secret counts upwards"
    } else {
        return Ok(());
    };
    Err(Error::key(problem, "Keys must be random: make one with `sealjar keys new`"))
}
