//! Where the ring secret comes from: a file, or the environment.

use std::io::Write as _;
use std::path::Path;

use crate::error::Error;
use crate::io::folder;
use crate::io::private::create_new_private;
use crate::key::RingSecret;

/// Names the file with the ring secret.
pub const FILE_VARIABLE: &str = "SEALJAR_RING_SECRET_FILE";
/// Holds the ring secret itself.
pub const VARIABLE: &str = "SEALJAR_RING_SECRET";

/// The ring secret that the environment names; none if it names none.
///
/// # Errors
///
/// [`Error::Key`] when what it names is missing, open to others, or no ring secret.
pub fn from_env() -> Result<Option<RingSecret>, Error> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = named(FILE_VARIABLE) {
        return folder::ring_secret(Path::new(&path)).map(Some);
    }
    let Some(text) = named(VARIABLE) else { return Ok(None) };
    // A value that is not text is no secret either; the sentence never repeats it.
    let text = zeroize::Zeroizing::new(text.to_string_lossy().into_owned());
    RingSecret::from_text(&text).map(Some).map_err(|error| match error {
        Error::Key { problem, .. } => Error::key(
            format!("the variable {VARIABLE} holds no ring secret: {problem}"),
            "Put there what stands behind `secret:` in a file that `sealjar keys ring-secret` made",
        ),
        other => other,
    })
}

/// Makes a ring secret in a file of its own, which only its owner can read. One that is there stays.
///
/// # Errors
///
/// [`Error::Key`] when there is such a file already or it cannot be written.
pub fn make(path: &Path) -> Result<RingSecret, Error> {
    let secret = RingSecret::generate()?;
    let written = create_new_private(path).and_then(|mut file| {
        file.write_all(secret.to_file().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Error::key(
            format!("the ring secret cannot be written to {} ({error})", path.display()),
            "Name a new file in a folder that this program can write; a ring secret that is in use is not replaced",
        )
    })?;
    Ok(secret)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_ring_secret_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring.secret");
        let made = make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder::ring_secret(&path).unwrap().fingerprint(), made.fingerprint());
        assert!(make(&path).unwrap_err().to_string().contains("is not replaced"));
        assert_eq!(folder::ring_secret(&path).unwrap().fingerprint(), made.fingerprint());
    }
}
