//! Following the server: the beat.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Value;

use crate::id::{Incarnation, NodeId};
use crate::revocation::store::{StoreFuture, Waiting};
use crate::revocation::{Beat, Follower, Heard, Records, Report};
use crate::time::{Day, Position};

use super::control::{Control, Fields, LIST};
use super::fault::Fault;
use super::feed::Feed;
use super::members::{self, JOINING, Members};
use super::names::{Bucket, Kind, Names};
use super::pieces::pieces;
use super::seen::{Epoch, Seen, next};
use super::shared::{Conn, Shared, restless};
use super::{ATTEMPTS, BEAT, HORIZON, scripts};

/// Reads the server for one replica, over a connection of its own.
pub(super) struct RedisFollower {
    shared: Arc<Shared>,
    /// Its name among the members.
    id: NodeId,
    /// Whether its caller knows a list from before this process.
    remembers: bool,
    /// What it says of itself; nothing where a tool reads.
    report: Option<Report>,
    conn: Option<Conn>,
    /// Moves only when a beat was delivered, so that a beat whose caller went away loses nothing.
    cursor: Option<Cursor>,
    feed: Option<Feed>,
}

/// How far the caller has been brought.
#[derive(Clone, Debug)]
struct Cursor {
    /// The connection: another one may lead to another server, so it is read from the start.
    serial: u64,
    incarnation: Incarnation,
    covered: BTreeMap<Bucket, u64>,
    control: Fields,
    /// The server's clock.
    time: Position,
    /// The life to which the caller has given back all that it knew.
    gave_back: Option<Incarnation>,
}

/// The first half of a beat: what there is.
struct Answer {
    seen: Seen,
    epoch: Epoch,
    control: Fields,
    members: Members,
    lengths: BTreeMap<Bucket, u64>,
}

/// A beat that is whole, and where it leaves the cursor.
type Found = (Beat, Cursor, Answer);

impl RedisFollower {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let reserved = shared.memory().reserved.take();
        let (id, remembers) = reserved.unwrap_or_else(|| (NodeId(u64::from_be_bytes(crate::random::fresh())), false));
        Self { shared, id, remembers, report: None, conn: None, cursor: None, feed: None }
    }
}

impl Follower for RedisFollower {
    fn beat(&mut self, stamp: bool) -> StoreFuture<'_, Beat> {
        Box::pin(async move {
            let beat = tokio::time::timeout(BEAT, self.find(stamp)).await.unwrap_or(Err(Fault::Silent));
            let told = beat.map(|found| self.deliver(found));
            if told.is_err() {
                // The client would go on with a dead connection; this one is not used again.
                self.conn = None;
            }
            told.map_err(|fault| fault.told("reading the revocation list", &self.shared.address))
        })
    }

    fn wait(&mut self) -> Waiting<'_> {
        let shared = self.shared.clone();
        let feed = self.feed.get_or_insert_with(|| Feed::start(shared));
        Box::pin(feed.news())
    }

    fn describe(&mut self, report: Report) {
        self.report = Some(report);
    }

    fn acknowledge(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let said = tokio::time::timeout(BEAT, self.say()).await.unwrap_or(Err(Fault::Silent));
            if said.is_err() {
                self.conn = None;
            }
            said.map_err(|fault| fault.told("acknowledging to the revocation list", &self.shared.address))
        })
    }

    fn leave(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let Some(conn) = &mut self.conn else { return Ok(()) };
            let left = self.shared.remove_node(conn, self.id);
            let left = tokio::time::timeout(BEAT, left).await.unwrap_or(Err(Fault::Silent)).map(drop);
            left.map_err(|fault| fault.told("leaving the revocation list", &self.shared.address))
        })
    }
}

impl RedisFollower {
    /// The name that it writes under: its own if it is a node. A tool gives nothing back and is not waited for,
    /// however long it reads.
    fn name(&self) -> String {
        let own = self.report.is_some() || self.remembers;
        if own { self.id.to_string() } else { JOINING.to_owned() }
    }

    /// As of the beat that was delivered last; saying it again makes no node look younger.
    async fn say(&mut self) -> Result<(), Fault> {
        let (name, report) = (self.name(), self.report.as_ref());
        let (Some(cursor), Some(conn)) = (&self.cursor, &mut self.conn) else { return Ok(()) };
        let value = members::at(cursor.time, &members::value(cursor.gave_back, report));
        let mut set = redis::cmd("HSET");
        Ok(set.arg(&self.shared.names.nodes).arg(name).arg(value).exec_async(&mut conn.redis).await?)
    }

    async fn find(&mut self, stamp: bool) -> Result<Found, Fault> {
        let mut broken = 0;
        for _ in 0..ATTEMPTS {
            let conn = match &self.conn {
                Some(conn) => conn.clone(),
                None => self.conn.insert(self.shared.connect().await?).clone(),
            };
            match self.find_once(conn, stamp).await {
                Ok(Some(found)) => return Ok(found),
                // Every doubt about the list is answered by reading it again.
                Ok(None) => {}
                // The first may have died long ago.
                Err(fault) if fault.is_of_the_connection() && broken == 0 => broken += 1,
                Err(fault) => return Err(fault),
            }
            self.conn = None;
        }
        Err(restless())
    }

    /// Nothing when the server is not what the connection was opened to.
    async fn find_once(&self, mut conn: Conn, stamp: bool) -> Result<Option<Found>, Fault> {
        let memory = self.shared.memory().clone();
        let cursor = self.cursor.as_ref().filter(|cursor| cursor.serial == conn.serial && !memory.owing);
        let time = cursor.map_or(conn.seen.time, |cursor| cursor.time);
        let gave_back = match &self.cursor {
            None if self.remembers => None,
            // Who knows nothing owes nothing.
            None => Some(conn.incarnation),
            Some(_) if memory.owing => None,
            // It was told; when it comes back, it has given back.
            Some(cursor) if cursor.incarnation == conn.incarnation => Some(conn.incarnation),
            Some(cursor) => cursor.gave_back,
        };
        let mut last = conn.seen.epoch.as_ref().map(|epoch| epoch.last).max(Some(memory.last)).unwrap_or_default();
        let answer = loop {
            let Some(answer) = self.ask(&mut conn, stamp, Bucket::first_day(time), last, gave_back).await? else {
                return Ok(None);
            };
            if answer.epoch.last <= last {
                break answer;
            }
            last = answer.epoch.last;
        };
        self.shared.check_clock(answer.seen.time)?;
        if answer.epoch.mark < memory.highest {
            if memory.known == Some(answer.epoch.incarnation) {
                return Ok(None);
            }
            // Another life, which did not know how far the lost one had come.
            self.shared.give_back(&[], memory.highest).await?;
            return Ok(None);
        }
        if !answer.epoch.is_whole(&answer.lengths, answer.seen.time) {
            self.shared.begin_anew(&mut conn.redis, &answer.seen, &memory).await?;
            return Ok(None);
        }
        let Some((records, covered)) = self.fetch(&mut conn, cursor, &answer).await? else { return Ok(None) };
        let healed = self.is_healed(&mut conn, &answer).await?;
        if cursor.is_none() {
            self.tidy(&mut conn, &answer).await?;
        }
        let Epoch { incarnation, mark, .. } = answer.epoch;
        let heard = if records.is_empty() && cursor.is_some() { Heard::Yes } else { Heard::Asked };
        let beat = Beat {
            incarnation,
            position: mark,
            clock: answer.seen.time.max(mark),
            records,
            whole: cursor.is_none(),
            healed,
            heard,
        };
        let (control, time) = (answer.control.clone(), answer.seen.time);
        let cursor = Cursor { serial: conn.serial, incarnation, covered, control, time, gave_back };
        Ok(Some((beat, cursor, answer)))
    }

    /// The proof that the server is there and takes writes, and what it has.
    ///
    /// A primary that was deposed answers reads for ever; where `min-replicas-to-write` is set it refuses
    /// writes. So every beat writes.
    async fn ask(
        &self,
        conn: &mut Conn,
        stamp: bool,
        first: Day,
        last: Day,
        gave_back: Option<Incarnation>,
    ) -> Result<Option<Answer>, Fault> {
        let names = &self.shared.names;
        let last = last.min(Day(first.0 + HORIZON));
        let mut pipe = redis::pipe();
        pipe.atomic();
        if stamp {
            pipe.cmd("EVAL").arg(scripts::STAMP).arg(1).arg(&names.epoch).arg(self.shared.latest().0).ignore();
        }
        let value = members::value(gave_back, self.report.as_ref());
        pipe.cmd("EVAL").arg(scripts::SIGN).arg(1).arg(&names.nodes).arg(self.name()).arg(value).ignore();
        Seen::ask(&mut pipe, names);
        pipe.cmd("HGETALL").arg(&names.control).cmd("HGETALL").arg(&names.nodes);
        let days = (first.0..=last.0).map(Day);
        let buckets: Vec<_> = days.flat_map(|day| Kind::ALL.map(|kind| Bucket { kind, day })).collect();
        for bucket in &buckets {
            pipe.cmd("STRLEN").arg(names.bucket(*bucket));
        }
        let replies: Vec<Value> = pipe.query_async(&mut conn.redis).await?;
        let mut replies = replies.into_iter();
        let seen = Seen::read(&mut replies)?;
        seen.check_backed()?;
        let (control, members): (Fields, Members) = (next(&mut replies)?, next(&mut replies)?);
        let mut lengths = BTreeMap::new();
        for bucket in buckets {
            let length: u64 = next(&mut replies)?;
            if length > 0 {
                lengths.insert(bucket, length);
            }
        }
        let epoch = seen.epoch.clone().filter(|epoch| {
            let same = epoch.incarnation == conn.incarnation && seen.server == conn.seen.server;
            same && epoch.replication == seen.server.replication && control.contains_key(LIST)
        });
        Ok(epoch.map(|epoch| Answer { seen, epoch, control, members, lengths }))
    }

    /// The second half: reads whatever is longer than what the caller has, in pieces of a bounded size.
    async fn fetch(
        &self,
        conn: &mut Conn,
        cursor: Option<&Cursor>,
        answer: &Answer,
    ) -> Result<Option<(Records, BTreeMap<Bucket, u64>)>, Fault> {
        let names = &self.shared.names;
        let mut covered = cursor.map(|cursor| cursor.covered.clone()).unwrap_or_default();
        covered.retain(|bucket, _| answer.lengths.contains_key(bucket));
        let mut records = Records::default();
        loop {
            let pieces = pieces(&answer.lengths, &covered);
            if pieces.is_empty() {
                break;
            }
            let mut pipe = redis::pipe();
            pipe.atomic().cmd("HGET").arg(&names.epoch).arg("incarnation");
            for (bucket, piece) in &pieces {
                pipe.cmd("GETRANGE").arg(names.bucket(*bucket)).arg(piece.start).arg(piece.end - 1);
            }
            let replies: Vec<Value> = pipe.query_async(&mut conn.redis).await?;
            let mut replies = replies.into_iter();
            let incarnation: Option<String> = next(&mut replies)?;
            if incarnation != Some(conn.incarnation.to_string()) {
                return Ok(None);
            }
            for (bucket, piece) in pieces {
                let bytes: Vec<u8> = next(&mut replies)?;
                if bytes.len() as u64 != piece.end - piece.start {
                    return Ok(None);
                }
                if bucket.kind == Kind::Session {
                    let to_come = (answer.lengths[&bucket] - piece.start) / bucket.kind.size() as u64;
                    records.reserve(bucket.day, usize::try_from(to_come).unwrap_or(0));
                }
                records.extend(bucket.decode(&bytes).ok_or_else(|| self.shared.damaged(bucket))?);
                covered.insert(bucket, piece.end);
            }
        }
        let known = cursor.map(|cursor| &cursor.control);
        let is_news =
            |field: &str, value: &[u8]| known.and_then(|known| known.get(field)).is_none_or(|old| old != value);
        let news: Fields = answer
            .control
            .iter()
            .filter(|(field, value)| is_news(field, value))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect();
        let news = self.shared.read_control(&news)?;
        records.extend(
            news.into_iter().filter_map(|news| if let Control::Record(record) = news { Some(record) } else { None }),
        );
        Ok(Some((records, covered)))
    }

    /// Whether everybody who may remember more than the server has given it back, or is gone.
    async fn is_healed(&self, conn: &mut Conn, answer: &Answer) -> Result<bool, Fault> {
        let Epoch { incarnation, healing, begun, .. } = answer.epoch;
        if !healing || !members::all_gave_back(&answer.members, incarnation, begun, answer.seen.time) {
            return Ok(!healing);
        }
        let mut script = redis::cmd("EVAL");
        script.arg(scripts::HEALED).arg(2).arg(&self.shared.names.epoch).arg(&self.shared.names.feed);
        let ended: bool = script.arg(incarnation.to_string()).query_async(&mut conn.redis).await?;
        if ended {
            tracing::info!(store = %self.shared.address, %incarnation, "the revocation list is whole again");
        }
        Ok(ended)
    }

    /// Removes the names of those that ended long ago, and the accounts of days that are over. Who is wrongly
    /// forgotten writes its name again.
    async fn tidy(&self, conn: &mut Conn, answer: &Answer) -> Result<(), Fault> {
        let (names, clock) = (&self.shared.names, answer.seen.time);
        let is_over = |bucket: &&Bucket| u64::from(bucket.end()) < clock.0 / 1000;
        let over: Vec<_> = answer.epoch.accounts.keys().filter(is_over).map(|bucket| Names::account(*bucket)).collect();
        let gone = members::forgotten(&answer.members, clock);
        if !gone.is_empty() {
            redis::cmd("HDEL").arg(&names.nodes).arg(gone).exec_async(&mut conn.redis).await?;
        }
        if !over.is_empty() {
            redis::cmd("HDEL").arg(&names.epoch).arg(over).exec_async(&mut conn.redis).await?;
        }
        Ok(())
    }

    /// Nothing here can be interrupted: the caller has the beat, or the cursor is where it was.
    fn deliver(&mut self, (beat, cursor, answer): Found) -> Beat {
        let mut members = answer.members;
        // It begins to remember with this beat.
        if let Some(report) = &self.report {
            let own = || members::at(cursor.time, &members::value(cursor.gave_back, Some(report)));
            members.entry(self.id.to_string()).or_insert_with(own);
        }
        let mut memory = self.shared.memory();
        memory.known = Some(beat.incarnation);
        memory.highest = memory.highest.max(beat.position);
        memory.last = memory.last.max(answer.epoch.last);
        memory.control = answer.control;
        memory.members = members;
        drop(memory);
        self.cursor = Some(cursor);
        beat
    }
}
