//! Making the list, which nobody does by accident: an empty server may be one that lost everything.

use redis::Value;

use crate::config::SKEW;
use crate::key::CONTROL_MAC;
use crate::revocation::Record;
use crate::trouble::Trouble;
use crate::wrap::WRAPPED_LIST_KEY;

use super::control::{self, Control, Fields, LIST};
use super::fault::Fault;
use super::seen::{REPLIES, Seen, next};
use super::shared::{Shared, new_incarnation, restless};
use super::{ATTEMPTS, RESPONSE, scripts};

/// When to make a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// If there is none. One that is there stays as it is.
    IfMissing {
        /// Whether the one that is missing may have been lost: then everybody is logged out.
        log_out_everybody: bool,
    },
    /// In the place of one that was lost, or that waits for somebody who knows what it lost. Logs everybody out.
    AfterLoss,
}

/// What was found and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// There was none; there is one now.
    New,
    /// There is a new one, and everybody was logged out.
    AfterLoss,
    /// It was there already, and was left alone.
    Already,
}

impl Made {
    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::AfterLoss => "after_loss",
            Self::Already => "already",
        }
    }
}

impl Shared {
    pub(super) async fn wrapped_list_key(&self) -> Result<Option<Vec<u8>>, Fault> {
        let mut redis = self.dial(RESPONSE).await?;
        let field = control::parcel_field(WRAPPED_LIST_KEY);
        let signed: Option<Vec<u8>> =
            redis::cmd("HGET").arg(&self.names.control).arg(field).query_async(&mut redis).await?;
        Ok(signed.and_then(|mut signed| {
            signed.truncate(signed.len().checked_sub(CONTROL_MAC)?);
            Some(signed)
        }))
    }

    /// Refuses whoever has no list key and is about to make one: under that, only a list can be used which is not there
    /// yet and which may be made here.
    pub(super) async fn must_be_free(&self, create: bool) -> Result<(), Fault> {
        let mut redis = self.dial(RESPONSE).await?;
        let list: Option<Vec<u8>> =
            redis::cmd("HGET").arg(&self.names.control).arg(LIST).query_async(&mut redis).await?;
        match (list.is_some(), create) {
            (true, _) => Err(Fault::found(
                Trouble::OtherListKey,
                format!(
                    "the list at {} was made under a list key that is not here, and one that is made now would be another",
                    self.address
                ),
            )),
            (false, false) => Err(self.missing()),
            (false, true) => Ok(()),
        }
    }

    /// Makes the list; without `really` it only says what would come of it.
    pub(super) async fn make(&self, making: Making, really: bool) -> Result<Made, Fault> {
        let mut redis = self.dial(RESPONSE).await?;
        let (seen, _) = self.look(&mut redis).await?;
        seen.server.check()?;
        self.check_clock(seen.time)?;
        self.check_server(&mut redis).await?;
        for _ in 0..ATTEMPTS {
            let mut pipe = redis::pipe();
            pipe.atomic();
            Seen::ask(&mut pipe, &self.names);
            pipe.cmd("HGETALL").arg(&self.names.control);
            let replies: Vec<Value> = pipe.query_async(&mut redis).await?;
            debug_assert_eq!(replies.len(), REPLIES + 1);
            let mut replies = replies.into_iter();
            let seen = Seen::read(&mut replies)?;
            let control: Fields = next(&mut replies)?;
            let intact = seen.epoch.is_some() && control.contains_key(LIST);
            let log_out_everybody = match making {
                Making::IfMissing { .. } if intact => {
                    self.recognise(&control[LIST])?;
                    return Ok(Made::Already);
                }
                Making::AfterLoss if intact && seen.epoch.as_ref().is_some_and(|epoch| !epoch.healing) => {
                    self.recognise(&control[LIST])?;
                    return Err(Fault::said(
                        format!("the list at {} is whole, so nothing was lost", self.address),
                        "To log everybody out, say `sealjar revoke all`",
                    ));
                }
                Making::IfMissing { log_out_everybody } => log_out_everybody,
                Making::AfterLoss => true,
            };
            let made = if log_out_everybody { Made::AfterLoss } else { Made::New };
            if !really {
                return Ok(made);
            }
            let mut mark = seen.epoch.as_ref().map_or(seen.time, |epoch| epoch.mark.max(seen.time)).next();
            let mut fields = vec![self.list()];
            if log_out_everybody {
                // The lost list's positions may have run ahead of this clock by as much as clocks may differ.
                mark = mark.after(SKEW);
                fields.push(Control::Record(Record::Everybody { position: mark }));
                mark = mark.next();
            }
            let old = seen.epoch.map(|epoch| epoch.incarnation.to_string()).unwrap_or_default();
            let mut script = redis::cmd("EVAL");
            script.arg(scripts::INIT).arg(2).arg(&self.names.epoch).arg(&self.names.control);
            script.arg(old).arg(new_incarnation()?.to_string()).arg(&seen.server.replication).arg(mark.0);
            for field in fields {
                script.arg(field.field()).arg(field.sign(&self.control_key));
            }
            if script.query_async(&mut redis).await? {
                return Ok(made);
            }
        }
        Err(restless())
    }
}
