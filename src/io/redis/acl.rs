//! The rights that the server's users need: the one place where they stand. `sealjar doctor --acl` prints them,
//! `docs/redis.md` shows them, and the tests run under them.

use std::fmt;

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An app that serves sessions.
    Node,
    /// The program `sealjar` and the admin endpoint.
    Admin,
}

/// What may be done, with which keys: the commands of one selector, and the ends of the keys' names.
const RIGHTS: [(&str, &[&str]); 5] = [
    ("+hget +hlen +hmget +hgetall +hset +hsetnx", &["epoch", "control", "nodes"]),
    ("+hdel", &["epoch", "nodes"]),
    ("+append +getrange +strlen +expireat", &["s:*", "g:*", "c:*"]),
    ("+get +set", &["once:*"]),
    ("+xadd +xread +xrevrange", &["feed"]),
];

/// The user's rule for one app's list.
///
/// Its `Display` is what to type into `redis-cli` or `valkey-cli`, with `<password>` for the password.
///
/// # Security
///
/// A node can add whatever an admin can, because after a loss it gives back the whole list; what signs the
/// records about everybody and about keys is the list key, not the user. An admin also throws away what was kept
/// for the nodes, and sees the server's settings, and passwords that stand in them: keep those in an ACL file
/// instead.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// Whose rule it is.
    pub role: Role,
    /// The app.
    pub app: &'a str,
    /// The server's database that the list is in.
    pub database: i64,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Node, Self::Admin];

    /// The name that the user gets: `sealjar-node`, `sealjar-admin`.
    #[must_use]
    pub const fn user(self) -> &'static str {
        match self {
            Self::Node => "sealjar-node",
            Self::Admin => "sealjar-admin",
        }
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, app, database } = self;
        write!(f, "ACL SETUSER {} reset on ><password> ~{{sealjar:{app}}}:* -@all", role.user())?;
        // A script is judged twice: as such, by all of its keys; and each of its commands, by the selectors.
        f.write_str(" +info +time +multi +exec +eval +wait")?;
        if *database != 0 {
            f.write_str(" +select")?;
        }
        if *role == Role::Admin {
            f.write_str(" +config|get")?;
        }
        // What is kept for the nodes is thrown away by tools only.
        let tools: &[(&str, &[&str])] = if *role == Role::Admin { &[("+hdel", &["control"])] } else { &[] };
        for (commands, keys) in RIGHTS.iter().chain(tools) {
            write!(f, " ({commands}")?;
            for key in *keys {
                write!(f, " ~{{sealjar:{app}}}:{key}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// The rule of the user that asks Sentinels, to be typed in on each of them.
#[must_use]
pub fn sentinel_rule() -> &'static str {
    "ACL SETUSER sealjar reset on ><password> -@all +sentinel|get-master-addr-by-name +sentinel|master"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, ShortId};
    use crate::io::redis::names::{Bucket, Kind, Names};
    use crate::time::Day;

    #[test]
    fn rules_speak_of_the_keys_that_there_are() {
        let (names, rule) = (Names::new("shop"), Rule { role: Role::Node, app: "shop", database: 0 }.to_string());
        let has = |key: &str| rule.contains(&format!(" ~{key}"));
        assert!([&names.epoch, &names.control, &names.nodes, &names.feed].into_iter().all(|key| has(key)), "{rule}");
        for kind in Kind::ALL {
            let bucket = names.bucket(Bucket { kind, day: Day(7) });
            assert!(has(&format!("{}*", bucket.strip_suffix('7').unwrap())), "{rule}");
        }
        let once = names.once(Incarnation(1), [0; 16]);
        let raised = names.raised(ShortId(1), 1);
        let prefix = "{sealjar:shop}:once:";
        assert!(once.starts_with(prefix) && raised.starts_with(prefix) && has(&format!("{prefix}*")), "{rule}");
    }

    #[test]
    fn an_admin_sees_settings_and_throws_away_and_only_another_database_is_selected() {
        let rule = |role, database| Rule { role, app: "shop", database }.to_string();
        let admin = rule(Role::Admin, 0).replace(" +config|get", "").replace(" (+hdel ~{sealjar:shop}:control)", "");
        assert_eq!(admin, rule(Role::Node, 0).replace("-node", "-admin"));
        assert_eq!(rule(Role::Node, 3).replace(" +select", ""), rule(Role::Node, 0));
    }
}
