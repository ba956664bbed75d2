//! What changes the list: publishing, giving back, announcing, keeping.

use std::collections::BTreeMap;

use redis::Value;

use crate::id::{Incarnation, ShortId};
use crate::revocation::{Durability, Parcel, Profile, Raised, Receipt, Record, Revocation, RevocationList, Stand};
use crate::rotation::Rotation;
use crate::time::{Day, Position};

use super::control::{self, Control, Fields};
use super::fault::Fault;
use super::names::{Bucket, Kind, sort};
use super::seen::{REPLIES, Seen, next};
use super::shared::{Conn, Shared, restless};
use super::{ATTEMPTS, HORIZON, scripts};

/// One attempt on one connection.
pub(super) enum Attempt<T> {
    Done(T),
    /// Somebody else wrote meanwhile.
    Late,
    /// The list is no longer the one that this connection was opened to.
    Foreign,
}

/// How often a call was tried, and how often a connection broke under it.
#[derive(Default)]
pub(super) struct Tries {
    number: usize,
    broken: usize,
}

/// What one script writes.
#[derive(Default)]
struct Change {
    buckets: BTreeMap<Bucket, Vec<u8>>,
    control: Vec<Control>,
    /// Cut-offs are tags only, and get the position behind each; so does "everybody".
    positions_to_come: bool,
    above: Position,
    /// In which life, and over which rotation list only.
    only_over: Option<(Incarnation, Rotation)>,
}

impl Shared {
    /// What a call does with an attempt: its answer, or nothing when it is to be tried again.
    pub(super) async fn settle<T>(
        &self,
        tries: &mut Tries,
        serial: u64,
        attempt: Result<Attempt<T>, Fault>,
    ) -> Option<Result<T, Fault>> {
        tries.number += 1;
        match attempt {
            Ok(Attempt::Done(done)) => return Some(Ok(done)),
            Ok(Attempt::Late) => {}
            Ok(Attempt::Foreign) => self.drop_writer(serial).await,
            Err(fault) if fault.is_of_the_connection() => {
                self.drop_writer(serial).await;
                tries.broken += 1;
                // The first may have been a connection that had died long ago.
                if tries.broken > 1 {
                    return Some(Err(fault));
                }
            }
            Err(fault) => return Some(Err(fault)),
        }
        (tries.number >= ATTEMPTS).then(|| Err(restless()))
    }

    pub(super) async fn publish(&self, revocations: &[Revocation]) -> Result<Receipt, Fault> {
        self.publish_over(None, revocations).await?.ok_or_else(restless)
    }

    /// Publishes only if the rotation list is still this one, where that is asked for.
    pub(super) async fn publish_over(
        &self,
        only_over: Option<(Incarnation, Rotation)>,
        revocations: &[Revocation],
    ) -> Result<Option<Receipt>, Fault> {
        let wishes = self.lasting(revocations).await?;
        let latest = Day(self.clock.now().seconds().day().0 + HORIZON);
        let at = |position| wishes.iter().map(|wish| wish.at(position)).collect::<Vec<_>>();
        let (mut buckets, control) = sort(&at(Position(0)));
        if let Some(bucket) = buckets.keys().find(|bucket| bucket.day > latest) {
            return Err(Fault::said(
                format!("{} is further ahead than any session can live", bucket.day),
                "Check the day in the session's handle",
            ));
        }
        for (_, bytes) in buckets.iter_mut().filter(|(bucket, _)| bucket.kind == Kind::CutOff) {
            *bytes = bytes.chunks_exact(Kind::CutOff.size()).flat_map(|record| &record[..8]).copied().collect();
        }
        let control = control.into_iter().map(Control::Record).collect();
        let change = Change { buckets, control, positions_to_come: true, above: Position(0), only_over };
        let written = self.write(&change).await?;
        Ok(written.map(|Stand { incarnation, position }| Receipt {
            durability: Durability::Committed,
            position,
            incarnation,
            records: at(position),
        }))
    }

    /// How long a cut-off matters, the list knows best: as long as the longest of all the app's cookies.
    async fn lasting(&self, revocations: &[Revocation]) -> Result<Vec<Revocation>, Fault> {
        let mut wishes = revocations.to_vec();
        if wishes.iter().any(|wish| matches!(wish, Revocation::CutOff { .. })) {
            let longest = self.profiles().await?.into_iter().map(|profile| profile.longest).max().unwrap_or_default();
            let last = self.clock.now().seconds().after(longest).day();
            for wish in &mut wishes {
                if let Revocation::CutOff { day, .. } = wish {
                    *day = last.max(*day);
                }
            }
        }
        Ok(wishes)
    }

    /// Of several who want the same floor, one gets it.
    pub(super) async fn raise(&self, id: ShortId, floor: u32, day: Day) -> Result<Raised, Fault> {
        let who = hex(crate::random::fresh::<16>());
        let mut tries = Tries::default();
        loop {
            let mut conn = self.writer().await?;
            let attempt = self.raise_once(&mut conn, id, floor, day, &who).await;
            if let Some(done) = self.settle(&mut tries, conn.serial, attempt).await {
                return done;
            }
        }
    }

    async fn raise_once(
        &self,
        conn: &mut Conn,
        id: ShortId,
        floor: u32,
        day: Day,
        who: &str,
    ) -> Result<Attempt<Raised>, Fault> {
        let bucket = Bucket { kind: Kind::Floor, day };
        let mut script = redis::cmd("EVAL");
        script.arg(scripts::RAISE).arg(4).arg(&self.names.epoch).arg(&self.names.feed).arg(self.names.bucket(bucket));
        script.arg(self.names.raised(id, floor));
        script.arg(conn.incarnation.to_string()).arg(&id.0.to_be_bytes()[..]).arg(&floor.to_be_bytes()[..]);
        script.arg(bucket.end()).arg(day.0).arg(self.latest().0).arg(who);
        let (said, number): (String, u64) = script.query_async(&mut conn.redis).await?;
        let record = |floor| Record::Floor { id, floor, day };
        Ok(match &*said {
            "done" => {
                let position = Position(number);
                self.saw(position);
                let records = vec![record(floor)];
                let incarnation = conn.incarnation;
                Attempt::Done(Raised::Done(Receipt {
                    durability: Durability::Committed,
                    position,
                    incarnation,
                    records,
                }))
            }
            "behind" => Attempt::Done(Raised::Behind(record(u32::try_from(number).unwrap_or(u32::MAX)))),
            "lost" => self.has_lost(conn).await?,
            _ => Attempt::Foreign,
        })
    }

    pub(super) async fn announce(&self, profile: &Profile) -> Result<(), Fault> {
        if !self.profiles().await?.iter().any(|known| {
            let longest = known.longest.max(profile.longest);
            *known == Profile { longest, ..profile.clone() }
        }) {
            let control = vec![Control::Profile(profile.clone())];
            self.write(&Change { control, ..Change::default() }).await?;
        }
        Ok(())
    }

    pub(super) async fn profiles(&self) -> Result<Vec<Profile>, Fault> {
        let profile = |control| if let Control::Profile(profile) = control { Some(profile) } else { None };
        Ok(self.read_all_control().await?.into_iter().filter_map(profile).collect())
    }

    pub(super) async fn parcels(&self) -> Result<Vec<Parcel>, Fault> {
        let parcel = |control| if let Control::Parcel(parcel) = control { Some(parcel) } else { None };
        Ok(self.read_all_control().await?.into_iter().filter_map(parcel).collect())
    }

    pub(super) async fn keep(&self, parcel: &Parcel) -> Result<(), Fault> {
        if !self.parcels().await?.contains(parcel) {
            let control = vec![Control::Parcel(parcel.clone())];
            self.write(&Change { control, ..Change::default() }).await?;
        }
        Ok(())
    }

    pub(super) async fn discard(&self, name: &str) -> Result<bool, Fault> {
        let mut tries = Tries::default();
        loop {
            let mut conn = self.writer().await?;
            let mut remove = redis::cmd("HDEL");
            let removed = remove.arg(&self.names.control).arg(control::parcel_field(name));
            let attempt = removed.query_async(&mut conn.redis).await.map(Attempt::Done).map_err(Fault::from);
            if let Some(done) = self.settle(&mut tries, conn.serial, attempt).await {
                return done;
            }
        }
    }

    async fn read_all_control(&self) -> Result<Vec<Control>, Fault> {
        let mut tries = Tries::default();
        loop {
            let mut conn = self.writer().await?;
            let attempt = self.control(&mut conn).await.map(Attempt::Done);
            let Some(fields) = self.settle(&mut tries, conn.serial, attempt).await else { continue };
            return self.read_control(&fields?);
        }
    }

    async fn control(&self, conn: &mut Conn) -> Result<Fields, Fault> {
        Ok(redis::cmd("HGETALL").arg(&self.names.control).query_async(&mut conn.redis).await?)
    }

    pub(super) fn read_control(&self, fields: &Fields) -> Result<Vec<Control>, Fault> {
        control::read_all(&self.control_key, fields).map_err(|control::Forged(field)| self.forged(&field))
    }

    /// Adds what the server lacks. Several processes may give back the same records.
    pub(super) async fn give_back(&self, records: &[Record], above: Position) -> Result<Stand, Fault> {
        let highest = records.iter().map(|record| match record {
            Record::CutOff { position, .. } | Record::Everybody { position } | Record::Forgotten { position, .. } => {
                *position
            }
            Record::Session { .. } | Record::Floor { .. } | Record::Key { .. } => Position(0),
        });
        let above = highest.fold(above, Position::max);
        self.memory().owing = true;
        let mut tries = Tries::default();
        loop {
            let mut conn = self.writer().await?;
            let attempt = self.give_back_once(&mut conn, records, above).await;
            let Some(done) = self.settle(&mut tries, conn.serial, attempt).await else { continue };
            let stand = done?;
            self.memory().owing = false;
            return Ok(stand);
        }
    }

    async fn give_back_once(
        &self,
        conn: &mut Conn,
        records: &[Record],
        above: Position,
    ) -> Result<Attempt<Stand>, Fault> {
        let (buckets, _) = sort(records);
        let mut held = RevocationList::default();
        for bucket in buckets.keys() {
            let get = redis::cmd("GETRANGE").arg(self.names.bucket(*bucket)).arg(0).arg(-1).to_owned();
            let bytes: Vec<u8> = get.query_async(&mut conn.redis).await?;
            for record in bucket.decode(&bytes).ok_or_else(|| self.damaged(*bucket))? {
                held.insert(record);
            }
        }
        let lacking: Vec<Record> = records.iter().filter(|record| !held.holds(record)).copied().collect();
        let (buckets, control) = sort(&lacking);
        let control = control.into_iter().map(Control::Record).collect();
        let change = Change { buckets, control, above, ..Change::default() };
        Ok(match self.write_once(conn, &change, 0).await? {
            Attempt::Done(Some(stand)) => {
                self.saw(stand.position);
                Attempt::Done(stand)
            }
            Attempt::Done(None) | Attempt::Late => Attempt::Late,
            Attempt::Foreign => Attempt::Foreign,
        })
    }

    /// Nothing if the change is only for another rotation list than this one.
    async fn write(&self, change: &Change) -> Result<Option<Stand>, Fault> {
        let mut tries = Tries::default();
        loop {
            let mut conn = self.writer().await?;
            let attempt = self.write_once(&mut conn, change, tries.number).await;
            let Some(done) = self.settle(&mut tries, conn.serial, attempt).await else { continue };
            let stand = done?;
            stand.iter().for_each(|stand| self.saw(stand.position));
            return Ok(stand);
        }
    }

    /// A record in the control hash is signed together with its position, which only this process can do.
    /// So the position is proposed; the script takes it if it is above all that were given out by then.
    async fn write_once(
        &self,
        conn: &mut Conn,
        change: &Change,
        tried: usize,
    ) -> Result<Attempt<Option<Stand>>, Fault> {
        let mut proposed = Position(0);
        let (mut fields, mut count) = (Vec::new(), -1);
        if !change.control.is_empty() {
            let (seen, known) = self.read_with_control(conn).await?;
            let Some(epoch) = seen.epoch.filter(|epoch| epoch.incarnation == conn.incarnation) else {
                return Ok(Attempt::Foreign);
            };
            // Whoever was late leaves a little more room the next time.
            let room = [1, 10, 100, 1_000, 10_000].get(tried).copied().unwrap_or(10_000);
            proposed = Position(seen.time.min(self.latest()).max(epoch.mark).max(change.above).0 + room);
            for wish in &change.control {
                fields.push(self.signed(wish, &known, change.positions_to_come.then_some(proposed))?);
            }
            if let Some((life, list)) = &change.only_over {
                if *life != conn.incarnation || *list != control::rotation(&self.read_control(&known)?) {
                    return Ok(Attempt::Done(None));
                }
                // The fields that are not written must be the same too, and no further one be there.
                let is_written = |field: &String| fields.iter().any(|(written, ..)| written == field);
                let others = known.iter().filter(|(field, _)| control::is_key(field) && !is_written(field));
                let others: Vec<_> = others.map(|(field, old)| (field.clone(), old.clone(), Vec::new())).collect();
                fields.extend(others);
                count = i64::try_from(known.len()).unwrap_or(-1);
            }
        }
        let last = change.buckets.keys().map(|bucket| bucket.day).max().unwrap_or_default();
        let mut script = redis::cmd("EVAL");
        script.arg(scripts::PUBLISH).arg(3 + change.buckets.len());
        script.arg(&self.names.epoch).arg(&self.names.control).arg(&self.names.feed);
        for bucket in change.buckets.keys() {
            script.arg(self.names.bucket(*bucket));
        }
        script.arg(conn.incarnation.to_string()).arg(proposed.0).arg(change.above.0).arg(last.0);
        script.arg(self.latest().0).arg(fields.len()).arg(count);
        for (name, old, new) in &fields {
            script.arg(name).arg(old).arg(new);
        }
        for (bucket, bytes) in &change.buckets {
            let expands = change.positions_to_come && bucket.kind == Kind::CutOff;
            script.arg(bucket.end()).arg(u8::from(expands)).arg(bytes.as_slice());
        }
        let (said, position): (String, u64) = script.query_async(&mut conn.redis).await?;
        Ok(match &*said {
            "done" => Attempt::Done(Some(Stand { incarnation: conn.incarnation, position: Position(position) })),
            "late" => Attempt::Late,
            "lost" => self.has_lost(conn).await?,
            _ => Attempt::Foreign,
        })
    }

    /// A bucket is not as long as it was left, so nothing is added to it in this life.
    async fn has_lost<T>(&self, conn: &mut Conn) -> Result<Attempt<T>, Fault> {
        let memory = self.memory().clone();
        self.begin_anew(&mut conn.redis, &conn.seen, &memory).await?;
        Ok(Attempt::Foreign)
    }

    async fn read_with_control(&self, conn: &mut Conn) -> Result<(Seen, Fields), Fault> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        Seen::ask(&mut pipe, &self.names);
        pipe.cmd("HGETALL").arg(&self.names.control);
        let replies: Vec<Value> = pipe.query_async(&mut conn.redis).await?;
        debug_assert_eq!(replies.len(), REPLIES + 1);
        let mut replies = replies.into_iter();
        Ok((Seen::read(&mut replies)?, next(&mut replies)?))
    }

    /// A field's name, what is there, and what is to be there.
    fn signed(
        &self,
        wish: &Control,
        known: &Fields,
        position: Option<Position>,
    ) -> Result<(String, Vec<u8>, Vec<u8>), Fault> {
        let (field, mut wish) = (wish.field(), wish.clone());
        if let (Control::Record(Record::Everybody { position: everybody }), Some(position)) = (&mut wish, position) {
            *everybody = position;
        }
        let old = known.get(&field).cloned().unwrap_or_default();
        let there = match &*old {
            [] => None,
            old => Control::read(&self.control_key, &field, old).map_err(|_| self.forged(&field))?,
        };
        let new = wish.merge(there).sign(&self.control_key);
        Ok((field, old, new))
    }
}

pub(super) fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}
