//! Who logs in.

use std::fmt;

use crate::claims::{MAX_LABELS, Tags};
use crate::core::Core;
use crate::error::Error;
use crate::id::{Tag, TagKind};

/// A login: whose session it becomes, and by what else it can be revoked.
///
/// ```
/// use sealjar::Login;
/// let plain: Login = "7".into();
/// let rich = Login::subject("7").tenant("acme").label("device:3f2a");
/// // From an ID token: issuer, `sub` and, where it has one, `sid`.
/// let federated = Login::subject("7").provider("https://id.example.org", "248289761001", "08a5019c");
/// ```
#[derive(Clone)]
pub struct Login {
    subject: String,
    tenant: Option<String>,
    labels: Vec<Label>,
}

/// What becomes a label's tag: a kind, and a name in one part or two.
#[derive(Clone)]
struct Label {
    kind: TagKind,
    name: Vec<String>,
}

impl Login {
    /// The user's lasting id, as text. Not a name or an e-mail address that may pass to somebody else.
    #[must_use]
    pub fn subject(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), tenant: None, labels: Vec::new() }
    }

    /// The organisation whose sessions can be revoked together.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Anything else to revoke by, up to four: a device, a region.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        self.labelled(TagKind::Label, vec![label.into()])
    }

    /// Who the user is at the OpenID provider that vouched for them, so that a logout there ends this session
    /// (OpenID Connect Back-Channel Logout 1.0): the ID token's `iss` and `sub`, and its `sid` if it has one.
    ///
    /// Takes two of the four labels; one without a `sid`. Give the values of the ID token as they are, after it
    /// was verified: they are compared with those of a logout token byte by byte. This needs no feature of the
    /// crate: the logout may be received by another process on the same list.
    #[must_use]
    pub fn provider<'a>(self, issuer: &str, subject: &str, session: impl Into<Option<&'a str>>) -> Self {
        let of_issuer = |name: &str| vec![issuer.to_owned(), name.to_owned()];
        let login = self.labelled(TagKind::ProviderSubject, of_issuer(subject));
        match session.into() {
            Some(session) => login.labelled(TagKind::ProviderSession, of_issuer(session)),
            None => login,
        }
    }

    fn labelled(mut self, kind: TagKind, name: Vec<String>) -> Self {
        self.labels.push(Label { kind, name });
        self
    }

    /// The keyed hashes that go into the cookie; the names themselves do not.
    pub(super) fn tags(&self, core: &Core) -> Result<Tags, Error> {
        if self.subject.is_empty() {
            return Err(Error::usage(
                "the subject of a login is empty",
                "Give the user's lasting id: `login(\"7\", ..)`",
            ));
        }
        let tenant = self.tenant.as_ref().map(|tenant| core.tag(TagKind::Tenant, tenant));
        let mut tags = Tags::of(Some(core.tag(TagKind::Subject, &self.subject)), tenant);
        for label in &self.labels {
            if !tags.add_label(label.tag(core)?) {
                return Err(Error::usage(
                    format!("a login has {} labels", self.labels.len()),
                    format!("A session carries at most {MAX_LABELS}; leave out those that nobody will revoke by"),
                ));
            }
        }
        Ok(tags)
    }
}

impl Label {
    fn tag(&self, core: &Core) -> Result<Tag, Error> {
        let of_provider = matches!(self.kind, TagKind::ProviderSubject | TagKind::ProviderSession);
        if of_provider && self.name.iter().any(String::is_empty) {
            return Err(Error::usage(
                "the provider of a login has an empty issuer, subject or session",
                "Give `iss`, `sub` and `sid` as the verified ID token has them, and None where it has no `sid`",
            ));
        }
        let name: Vec<_> = self.name.iter().map(String::as_str).collect();
        Ok(core.tag_of(self.kind, &name))
    }
}

impl<S: Into<String>> From<S> for Login {
    fn from(subject: S) -> Self {
        Self::subject(subject)
    }
}

impl fmt::Debug for Login {
    /// Never shows names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login(subject, {} labels)", self.labels.len())
    }
}
