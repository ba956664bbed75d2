#!/usr/bin/env bash
# Takes the rules that keep a revocation from being lost out of a copy of the source, one at a time, and expects
# `tests/redis_rules.rs` to notice: the story of each rule must end in a breach without it.
#
#   bash tests/rules.sh            all of them
#   bash tests/rules.sh epoch_check
#
# The copy is built once, with every rule behind a switch; so the code that is published has no switch in it.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=target/rules
rm -rf "$copy"
mkdir -p "$copy"
cp -r src tests examples benches keys Cargo.toml Cargo.lock README.md "$copy"

python3 - "$copy" "$copy/names" <<'PY'
import pathlib, sys

copy, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# The rule, which is also the name of its story; the file; what stands there; what stands there with a switch.
OFF = 'crate::without("{}")'
RULES = [
    # What a store has lost is given back.
    ("push_back", "src/io/follow.rs",
     "if !lost.is_empty() {", "if !lost.is_empty() && !OFF {"),
    # Nobody who knew nothing trusts a list that others have yet to fill.
    ("healing_before_a_joiner", "src/io/redis/follower.rs",
     "let Epoch { incarnation, healing, begun, .. } = answer.epoch;",
     "let Epoch { incarnation, healing, begun, .. } = answer.epoch;\n        if OFF { return Ok(true); }"),
    # Whoever may know more is waited for from the loss on, not from a sign of life that is as old as the file.
    ("a_lease_from_the_loss_on", "src/revocation/node.rs",
     "let silent = self.seen.max(begun)", "let silent = (if OFF { self.seen } else { self.seen.max(begun) })"),
    ("a_lease_for_whoever_is_not_named", "src/rotation/life.rs",
     "if members.iter().any(", "if OFF || members.iter().any("),
    # Another life of the list is read from the start.
    ("epoch_check", "src/io/redis/follower.rs",
     "epoch.incarnation == conn.incarnation &&", "(epoch.incarnation == conn.incarnation || OFF) &&"),
    ("epoch_check", "src/io/redis/follower.rs",
     "if incarnation != Some(conn.incarnation.to_string()) {",
     "if incarnation != Some(conn.incarnation.to_string()) && !OFF {"),
    # And so is whatever a new connection leads to.
    ("reading_again_on_a_new_connection", "src/io/redis/follower.rs",
     "filter(|cursor| cursor.serial == conn.serial &&", "filter(|cursor| (cursor.serial == conn.serial || OFF) &&"),
    # A beat that counts has read all that it saw.
    ("coverage_of_the_lengths", "src/io/redis/follower.rs",
     "let pieces = pieces(&answer.lengths, &covered);",
     "let pieces = if OFF { Vec::new() } else { pieces(&answer.lengths, &covered) };"),
    # A bucket has to be as long as it was left.
    ("the_account_of_a_bucket", "src/io/redis/seen.rs",
     "in_both.into_iter().all(|bucket| {", "OFF || in_both.into_iter().all(|bucket| {"),
    ("the_account_of_a_bucket", "src/io/redis/write.rs",
     "script.arg(scripts::PUBLISH)",
     'script.arg(scripts::PUBLISH.replace("not is_whole", if OFF { "false and not is_whole" } else { "not is_whole" }))'),
    ("a_joiner_sees_that_a_bucket_is_gone", "src/io/redis/seen.rs",
     'crate::without("the_account_of_a_bucket") || ', 'crate::without("the_account_of_a_bucket") || OFF || '),
    # Every beat writes.
    ("the_write_in_the_beat", "src/io/redis/follower.rs",
     'pipe.cmd("EVAL").arg(scripts::SIGN).arg(1)', 'if !OFF { pipe.cmd("EVAL").arg(scripts::SIGN).arg(1)'),
    ("the_write_in_the_beat", "src/io/redis/follower.rs",
     ".arg(self.name()).arg(value).ignore();", ".arg(self.name()).arg(value).ignore(); }"),
    # A primary that must have replicas is believed while one of them answers.
    ("a_primary_that_wakes_up", "src/io/redis/seen.rs",
     'line(replication, "min_slaves_good_slaves").is_none() ||',
     'OFF || line(replication, "min_slaves_good_slaves").is_none() ||'),
    # Staleness is measured by a clock that counts the time a machine sleeps.
    ("a_clock_that_counts_sleep", "src/time.rs",
     "clock_gettime(rustix::time::ClockId::Boottime)",
     "clock_gettime(if OFF { rustix::time::ClockId::Monotonic } else { rustix::time::ClockId::Boottime })"),
]

for rule, file, there, switched in RULES:
    path = copy / file
    text = path.read_text()
    there, switched = (part.replace("OFF", OFF.format(rule)) for part in (there, switched))
    if text.count(there) != 1:
        sys.exit(f"{file}: `{there}` stands there {text.count(there)} times, so tests/rules.sh no longer fits the code")
    text = text.replace(there, switched)
    path.write_text(text)
switch = """
#[doc(hidden)]
pub fn without(rule: &str) -> bool {
    std::env::var("SEALJAR_WITHOUT").is_ok_and(|off| off == rule)
}
"""
lib = copy / "src/lib.rs"
lib.write_text(lib.read_text() + switch)
names.write_text("\n".join(dict.fromkeys(rule for rule, *_ in RULES)) + "\n")
PY

# Dependencies are those of the other test programs, built already.
export CARGO_TARGET_DIR=$PWD/target RUST_BACKTRACE=0
built=$(cargo test --locked --no-run --manifest-path "$copy/Cargo.toml" --test redis_rules --test redis_sleep 2>&1) ||
    { printf '%s\n' "$built"; exit 1; }
program() { sed -n "s/.*Executable tests\/$1.rs (\(.*\))/\1/p" <<<"$built"; }
rules=$(program redis_rules) sleep=$(program redis_sleep)

story() { # rule
    case $1 in
    a_clock_that_counts_sleep) "$sleep" ;;
    *) "$rules" --exact "$1" ;;
    esac
}

# They wait more than they work, so all at once: with every rule in its place, and without one.
for rule in ${1:-$(cat "$copy/names")}; do
    (story "$rule" >"$copy/$rule.with" 2>&1 && echo well || echo badly) >"$copy/$rule.with.end" &
    (SEALJAR_WITHOUT=$rule story "$rule" >"$copy/$rule.without" 2>&1 && echo well || echo badly) >"$copy/$rule.without.end" &
done
wait
missed=0
for rule in ${1:-$(cat "$copy/names")}; do
    read -r with <"$copy/$rule.with.end"
    read -r without <"$copy/$rule.without.end"
    if grep -q "^NOT SHOWN" "$copy/$rule.with"; then
        printf '%-36s %s\n' "$rule" "$(cat "$copy/$rule.with")"
    elif [ "$with" = well ] && [ "$without" = badly ] && grep -q "breach: " "$copy/$rule.without"; then
        printf '%-36s without it, %s\n' "$rule" "$(grep -m1 -o 'breach: .*' "$copy/$rule.without")"
    else
        printf '%-36s ended %s with it, and %s without\n' "$rule" "$with" "$without"
        tail -n 20 "$copy/$rule.with" "$copy/$rule.without"
        missed=1
    fi
done
exit $missed
