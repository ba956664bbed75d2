//! What can be wrong around the list: with the server that keeps it, with keys, nodes and cookies.
//!
//! A closed list like the verdicts, and like them each has a code, a cause and a fix. What an app is refused
//! for at its start and what `sealjar doctor` finds are the same troubles, judged in one place
//! ([`crate::doctor`]). `docs/troubleshooting.md` holds them all; a test compares.

use std::borrow::Cow;

use crate::words::closed_list;

closed_list! {
    /// One thing that can be wrong.
    ///
    /// [`Trouble::fix`] comes without its full stop, so that it can end a message.
    pub enum Trouble {
        /// Nobody answers at the server's address.
        Unreachable = "unreachable"
            | "Nothing listens at the server's address, or it does not answer in time."
            | "Bring the server back; until then sessions are judged by what is in memory, and lists older than their bound are not trusted",
        /// The server wants a password and was given none.
        PasswordMissing = "password_missing"
            | "The server wants a password, and the address has none."
            | "Put user and password into the address: redis://user:password@host:6379",
        /// The server refused the password.
        PasswordWrong = "password_wrong"
            | "The server does not know this user, or not with this password."
            | "Check user and password in the address; special characters must be percent-encoded",
        /// The server's certificate is not trusted.
        Certificate = "certificate"
            | "The server's certificate is expired, is for another name, or is signed by an authority that is not trusted here."
            | "Name your certificate authority in the variable SSL_CERT_FILE, and the host as it is in the certificate",
        /// The way to the server is not encrypted.
        NotEncrypted = "not_encrypted"
            | "The password, the records and one-time values go to another host in the clear."
            | "Write rediss://, or, where the network itself is encrypted, add ?tls=off to the address",
        /// The server's user may not run a command.
        RightMissing = "right_missing"
            | "The server's user may not run a command, or not on the list's keys."
            | "Give that user the rights that `sealjar doctor --acl` prints",
        /// The server is older than what the list needs.
        OldVersion = "old_version"
            | "The server lacks commands and access rules that the list needs."
            | "Use Redis 7 or Valkey 8, or newer",
        /// The server is a replica.
        NotPrimary = "not_primary"
            | "The server is a replica, or became one in a failover; only a primary takes revocations."
            | "Point the address at the primary, or at the Sentinels that know it: redis+sentinel://host:26379/service",
        /// No Sentinel can be asked.
        SentinelsAway = "sentinels_away"
            | "None of the Sentinels in the address answers."
            | "Check hosts and ports in the address (26379 unless it says otherwise), and bring the Sentinels back",
        /// The Sentinels do not agree, and none of what they name is a primary.
        SentinelsDisagree = "sentinels_disagree"
            | "The Sentinels name different servers, or one that is no primary: a failover is under way, or has got stuck."
            | "Wait a few seconds, they are asked again with each attempt; if it lasts, compare `SENTINEL MASTER <service>` on each of them",
        /// The Sentinels know no such service.
        ServiceUnknown = "service_unknown"
            | "The Sentinels watch no primary of this name."
            | "Write the name that stands behind `sentinel monitor` in their configuration: redis+sentinel://host:26379/name",
        /// The Sentinels want a password of their own, or refused it.
        SentinelPassword = "sentinel_password"
            | "The Sentinels want a password of their own, or refused the one that they were given."
            | "Add ?sentinel_password=... to the address, and &sentinel_username=... where they have users",
        /// The server drops records when its memory is short.
        Eviction = "eviction_policy"
            | "The server drops keys when its memory is full, and a dropped key is a day of revocations."
            | "Set maxmemory-policy noeviction, and do not share the server with a cache",
        /// The server keeps nothing on disk.
        NoPersistence = "no_persistence"
            | "The server keeps nothing on disk, so a restart forgets every revocation."
            | "Set appendonly yes",
        /// The server saves from time to time only.
        SeldomSaved = "seldom_saved"
            | "The server saves from time to time only: a crash loses what was revoked since, unless a running process remembers it."
            | "Set appendonly yes, with which a crash loses a second at most",
        /// Nobody can tell whether the server keeps its data on disk.
        PersistenceHidden = "persistence_hidden"
            | "The server does not log every change, and its settings cannot be read, so nobody can tell whether a restart forgets everything."
            | "Set appendonly yes, or see in the provider's console that the data is kept on disk",
        /// The server takes writes that no replica has.
        ReplicasNotRequired = "replicas_not_required"
            | "A primary that was deposed goes on taking revocations that are lost when it rejoins."
            | "Set min-replicas-to-write 1 and min-replicas-max-lag 10 on the primary and on every replica, or give the promise up by name with ?replicas=0 at the end of the address",
        /// The server counts a replica that lags too far behind.
        ReplicasLag = "replicas_lag"
            | "A primary that was deposed goes on taking revocations for longer than nodes allow for."
            | "Set min-replicas-max-lag 10 or less on the primary and on every replica, or give the promise up by name with ?replicas=0 at the end of the address",
        /// Nobody can tell whether the server insists on replicas.
        ReplicasHidden = "replicas_hidden"
            | "The server's settings cannot be read, so nobody can tell whether it insists on replicas; if not, a primary that was deposed goes on taking revocations that are lost."
            | "Set min-replicas-to-write 1 where you can, or say with ?replicas=0 at the end of the address that you know",
        /// The server refuses writes for want of replicas.
        ReplicasMissing = "replicas_missing"
            | "The server insists on replicas (min-replicas-to-write) and has too few just now."
            | "Bring the replicas back; writes that could be lost are refused on purpose, and a primary without its replicas may have been replaced by one of them",
        /// The server's memory is full.
        MemoryFull = "memory_full"
            | "The server has reached its maxmemory and takes no writes."
            | "Raise its maxmemory, or move what else it keeps elsewhere; the list itself shrinks day by day",
        /// The server cannot save, and refuses writes.
        DiskFailing = "disk_failing"
            | "The server could not save to its disk and refuses writes."
            | "Look at its log and its disk; it takes writes again when it can save",
        /// The server is loading its data.
        Loading = "loading"
            | "The server was started a moment ago and still reads its data."
            | "Try again in a moment",
        /// The server's clock and this machine's are apart.
        ClockApart = "clock_apart"
            | "One of the clocks is wrong: the server drops records by its own, sessions are judged by this one."
            | "Let both follow a time server; 5 minutes are allowed",
        /// The server holds no list.
        NoList = "no_list"
            | "The server is new, or was emptied, or is another one than you think."
            | "If it is new, make it with `sealjar store init`. If it was lost, a running process that knows it gives it back within seconds; where none is left, `sealjar store init --after-loss` logs everybody out and begins anew",
        /// The list was made under another list key.
        OtherListKey = "other_list_key"
            | "Two processes have different files `list.key`, and would hash the same names differently."
            | "Give every process and every command line the same file `list.key`",
        /// A record was not written by a holder of the list key.
        ForgedRecord = "forged_record"
            | "Something wrote to the list that does not hold the list key."
            | "Find out who else can write there. Then stop the processes, and make the list anew with `sealjar store init --after-loss`, which logs everybody out",
        /// Something else writes to the list's keys.
        ForeignWriter = "foreign_writer"
            | "Another program writes to keys that begin with {sealjar:, or a key was cut off by hand."
            | "Stop what else writes there, or use a database of its own for the list; remove the key that is named, and running processes give its records back",
        /// The list changes its life again and again.
        Restless = "restless"
            | "The list lost its memory several times within one call."
            | "Look for a server that keeps restarting, or for two that answer under one address",
        /// The server answered what nobody expects.
        UnknownAnswer = "unknown_answer"
            | "The server is no Redis, or something stands between that changes what it says."
            | "Check that it is Redis 7 or Valkey 8, and look at its log",
        /// The list cannot be opened or read for another reason, which the sentence tells.
        ListUnusable = "list_unusable"
            | "The list cannot be opened or read; the sentence says why."
            | "Do what the sentence says",
        /// Others can read or change the list's file.
        ListFileOpen = "list_file_open"
            | "Whoever may write to the list's file can take revocations out of it; who may read it learns how many there are, and when."
            | "Run `chmod 600` on the file and on those beside it that end in -wal and -shm, and let the user that runs the app own them",
        /// The list has lost records, and nodes are giving them back.
        Healing = "healing"
            | "The server was restarted, emptied or replaced, and nodes are giving back what they remember."
            | "Wait: a node that ended is waited for a minute. If it lasts longer, see `sealjar nodes list`",
        /// No app follows the list.
        NoNodes = "no_nodes"
            | "No app is running on this list, or it runs on another one."
            | "Start the app; if it runs, compare its list's address with this one",
        /// A node has not been heard of for longer than its lease.
        NodeLapsed = "node_lapsed"
            | "A process ended without saying goodbye, or has been cut off from the list for longer than its lease."
            | "If it is gone for good, take it off with `sealjar nodes forget`; if it runs, look at its log: it answers 503",
        /// A node was not heard of for some beats.
        NodeSilent = "node_silent"
            | "A process has missed some beats: it is stopped, overloaded, or cut off from the list."
            | "Look at its log and at the way from it to the list",
        /// A node goes on with a lost list, for ever.
        NodeNeverLapses = "node_never_lapses"
            | "A route of this node has `allow_when_lost`: it accepts revoked sessions while it is cut off from the list, and whoever waits for all nodes waits for it."
            | "Leave the policy out where a revocation has to be in force everywhere",
        /// A node cannot use a key that is in the folder here.
        NodeLacksKey = "node_lacks_key"
            | "A key file has not reached this node, or it cannot read it."
            | "Copy the key file to its folder, at mode 0600; do not seal under the key before every node has it",
        /// Nodes run different versions.
        NodesDiffer = "nodes_differ"
            | "A deployment is under way, or one host was left out."
            | "Bring all nodes to one version",
        /// No app has announced its cookie.
        NoCookie = "no_cookie_announced"
            | "No app has ever been started on this list."
            | "Start the app once; it says then how its cookie is named and how long it lives",
        /// A cookie that browsers would drop.
        CookieDropped = "cookie_dropped"
            | "Browsers drop such a cookie without a word: the login works and never sticks."
            | "Do what the sentence says, and look for a proxy that rewrites Set-Cookie",
        /// A cookie that sibling hosts, or the network, can plant.
        CookieUnguarded = "cookie_unguarded"
            | "A cookie without the prefix __Host- can be planted by a sibling host, and one without Secure by anybody on the network."
            | "Leave out .localhost(), .name(..) and .domain(..) and serve https",
        /// The configuration cannot be used.
        Configuration = "configuration"
            | "A flag, a variable or an address is wrong."
            | "Do what the sentence says",
        /// The key folder cannot be read or has no key.
        KeyFolder = "key_folder"
            | "The key folder is missing, empty, or not readable for this user."
            | "Name the folder with --home or --keys, make the first key with `sealjar keys init`, and let the user that runs the app own it at mode 0700",
        /// Others can read or change the key folder.
        KeyFolderOpen = "key_folder_open"
            | "Whoever may write in the key folder can plant a key of his own, and forge every session."
            | "Run `chmod 700` on the folder, and let the user that runs the app own it",
        /// A key file is not used.
        KeyFile = "key_file"
            | "A key file is open to others, damaged, misnamed, or holds a key that anybody could guess."
            | "Do what the sentence says; if others could read the file, treat the key as leaked",
        /// The list key is missing or cannot be used.
        ListKey = "list_key"
            | "The file `list.key` is missing or cannot be used, so no name can be looked up in the list."
            | "Restore it from a backup of secrets, at mode 0600",
        /// The ring secret cannot be used, or is not that of the nodes.
        RingSecret = "ring_secret"
            | "The ring secret that was named is missing, open to others or damaged, or it is not the one that the nodes have."
            | "Name the file with the nodes' ring secret in the variable SEALJAR_RING_SECRET_FILE, at mode 0600; if others could read it, replace it with `sealjar keys rewrap`",
        /// No key may seal.
        NoKeySeals = "no_key_seals"
            | "Every key in the folder is retired, compromised or destroyed."
            | "Make a key with `sealjar keys new`",
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Looked at, and good.
    Ok,
    /// Works, and gives up something that you may want to know of.
    Warning,
    /// Does not work, or breaks a promise.
    Problem,
}

impl Severity {
    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// Something that was looked at, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong; none where all is well.
    pub trouble: Option<Trouble>,
    /// How much it matters.
    pub severity: Severity,
    /// What was seen, in words without secrets and without a full stop.
    pub seen: String,
    /// What to do; empty where all is well.
    pub fix: Cow<'static, str>,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn ok(seen: impl Into<String>) -> Self {
        Self { trouble: None, severity: Severity::Ok, seen: seen.into(), fix: "".into() }
    }

    /// It works, but.
    #[must_use]
    pub fn warning(trouble: Trouble, seen: impl Into<String>) -> Self {
        Self { trouble: Some(trouble), severity: Severity::Warning, seen: seen.into(), fix: trouble.fix().into() }
    }

    /// It does not work.
    #[must_use]
    pub fn problem(trouble: Trouble, seen: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, ..Self::warning(trouble, seen) }
    }

    /// With a more fitting fix than the general one.
    #[must_use]
    pub fn fixed_by(self, fix: impl Into<Cow<'static, str>>) -> Self {
        Self { fix: fix.into(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_holds_each_once_and_codes_differ() {
        let codes: BTreeSet<_> = Trouble::ALL.iter().map(|trouble| trouble.code()).collect();
        assert_eq!(codes.len(), Trouble::ALL.len());
        for (index, trouble) in Trouble::ALL.into_iter().enumerate() {
            assert_eq!(trouble as usize, index, "{trouble}");
        }
        assert_eq!(
            Trouble::NoKeySeals as usize + 1,
            Trouble::ALL.len(),
            "the last of the enum is the last of the list"
        );
    }

    #[test]
    fn each_has_one_sentence_of_cause_and_a_fix_that_can_end_a_message() {
        for trouble in Trouble::ALL {
            assert!(trouble.cause().ends_with('.') && trouble.cause().len() > 10, "{trouble}");
            assert!(!trouble.fix().ends_with('.') && trouble.fix().len() > 10, "{trouble}");
        }
    }
}
