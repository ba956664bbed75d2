//! Spending one-time values.

use std::time::Duration;

use crate::id::Incarnation;
use crate::revocation::{Once, OnceValue};
use crate::time::minutes;

use super::fault::Fault;
use super::seen::time;
use super::shared::{Conn, Shared, millis};
use super::write::{Attempt, Tries, hex};

/// Spent values are remembered this long beyond their expiry, should the server's clock be set back.
const ONCE_MARGIN: Duration = minutes(10);

/// The incarnation, the time, and what was spent before.
type Spent = (Option<String>, (u64, u64), Option<String>);

impl Shared {
    /// The list's life is read in the transaction that spends, and it is part of the spent value's name:
    /// in another life, this life's value stays as it was.
    pub(super) async fn spend(&self, value: OnceValue) -> Result<Once, Fault> {
        // Minted here, so that a repetition after a broken connection knows itself again.
        let id = hex(crate::random::fresh::<16>());
        let mut tries = Tries::default();
        loop {
            let mut conn = self.writer().await?;
            let attempt = self.spend_once(&mut conn, value, &id).await;
            if let Some(done) = self.settle(&mut tries, conn.serial, attempt).await {
                return done;
            }
        }
    }

    async fn spend_once(&self, conn: &mut Conn, value: OnceValue, id: &str) -> Result<Attempt<Once>, Fault> {
        let until = u64::from(value.expires.0) * 1000 + millis(ONCE_MARGIN);
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("HGET").arg(&self.names.epoch).arg("incarnation").cmd("TIME");
        pipe.cmd("SET").arg(self.names.once(value.incarnation, value.hash)).arg(id);
        pipe.arg("NX").arg("GET").arg("PXAT").arg(until);
        let (incarnation, now, before): Spent = pipe.query_async(&mut conn.redis).await?;
        let incarnation: Option<Incarnation> = incarnation.and_then(|text| text.parse().ok());
        // The connection knows of one life only; whatever happened to the list since, it looks again.
        if incarnation != Some(conn.incarnation) {
            return Ok(if value.incarnation == conn.incarnation {
                Attempt::Done(Once::Foreign)
            } else {
                Attempt::Foreign
            });
        }
        Ok(Attempt::Done(if value.expires <= time(now).seconds() {
            Once::Expired
        } else if value.incarnation != conn.incarnation {
            Once::Foreign
        } else if before.is_none_or(|before| before == id) {
            Once::First
        } else {
            Once::Spent
        }))
    }
}
