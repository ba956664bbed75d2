//! Who follows the file: a row for each process that serves sessions by it.
//!
//! A row is written when the process begins to follow, every [`HEARTBEAT`], and when somebody waits to hear
//! how far it is. Not with every beat: each would be a write to the disk.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::id::{Incarnation, NodeId};
use crate::revocation::{Node, Report};
use crate::time::{Position, hours};

/// Between two signs of life; [`MARGIN`](crate::revocation::node::MARGIN) allows for it.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);
/// Who lapsed this long ago is forgotten.
const FORGOTTEN: Duration = hours(1);

pub(super) const TABLES: &str = "
CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    seen INTEGER NOT NULL,
    gave_back INTEGER,
    report TEXT NOT NULL
) STRICT;
CREATE TABLE wanted (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
INSERT INTO wanted VALUES (1, 0);
";

pub(super) fn write(tx: &Transaction<'_>, node: &Node) -> rusqlite::Result<()> {
    let report = node.report.as_ref().map(|report| serde_json::to_string(report).unwrap_or_default());
    let mut statement = tx.prepare_cached("INSERT OR REPLACE INTO node VALUES (?1, ?2, ?3, ?4)")?;
    let gave_back = node.gave_back.map(|life| life.0.cast_signed());
    let (id, seen) = (node.id.0.cast_signed(), node.seen.0.cast_signed());
    statement.execute(params![id, seen, gave_back, report.unwrap_or_default()]).map(drop)
}

pub(super) fn read(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Node>> {
    let mut statement = tx.prepare("SELECT id, seen, gave_back, report FROM node ORDER BY seen, id")?;
    let rows = statement.query_map([], |row| {
        let unsigned = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
        let gave_back: Option<i64> = row.get(2)?;
        let report: String = row.get(3)?;
        Ok(Node {
            id: NodeId(unsigned(0)?),
            seen: Position(unsigned(1)?),
            gave_back: gave_back.map(|life| Incarnation(life.cast_unsigned())),
            report: serde_json::from_str::<Report>(&report).ok(),
        })
    })?;
    rows.collect()
}

pub(super) fn remove(tx: &Transaction<'_>, node: NodeId) -> rusqlite::Result<bool> {
    Ok(tx.execute("DELETE FROM node WHERE id = ?1", [node.0.cast_signed()])? > 0)
}

/// Removes those that lapsed long ago.
pub(super) fn tidy(tx: &Transaction<'_>, now: Position) -> rusqlite::Result<()> {
    for node in read(tx)?.iter().filter(|node| node.lapses().is_some_and(|lapses| lapses.after(FORGOTTEN) < now)) {
        remove(tx, node.id)?;
    }
    Ok(())
}

/// The position that somebody wants every node to say it has applied.
pub(super) fn wanted(tx: &Transaction<'_>) -> rusqlite::Result<Position> {
    let position: Option<i64> = tx.query_one("SELECT position FROM wanted", [], |row| row.get(0)).optional()?;
    Ok(Position(position.unwrap_or(0).cast_unsigned()))
}

pub(super) fn want(tx: &Transaction<'_>, position: Position) -> rusqlite::Result<()> {
    tx.execute("UPDATE wanted SET position = ?1", [position.0.cast_signed()]).map(drop)
}
