//! Who logs in.

use std::fmt;

use crate::claims::{MAX_LABELS, Tags};
use crate::core::Core;
use crate::error::Error;
use crate::id::TagKind;

/// A login: whose session it becomes, and by what else it can be revoked.
///
/// ```
/// use sealjar::Login;
/// let plain: Login = "7".into();
/// let rich = Login::subject("7").tenant("acme").label("device:3f2a");
/// ```
#[derive(Clone)]
pub struct Login {
    subject: String,
    tenant: Option<String>,
    labels: Vec<String>,
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

    /// Anything else to revoke by, up to four: a device, the identity provider's session.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.labels.push(label.into());
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
        if !self.labels.iter().all(|label| tags.add_label(core.tag(TagKind::Label, label))) {
            return Err(Error::usage(
                format!("a login has {} labels", self.labels.len()),
                format!("A session carries at most {MAX_LABELS}; leave out those that nobody will revoke by"),
            ));
        }
        Ok(tags)
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
