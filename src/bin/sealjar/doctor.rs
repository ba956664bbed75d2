//! `sealjar doctor`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use sealjar::Error;
use sealjar::doctor::{cookie, said, worst};
use sealjar::io::examine::{Subject, examine};
use sealjar::io::place::ListPlace;
use sealjar::io::redis::{Role, Rule, sentinel_rule};
use sealjar::io::ring_secret::from_env;
use sealjar::time::Clock;
use sealjar::trouble::{Finding, Severity, Trouble};
use serde_json::{Value, json};

use crate::explain::read_input;
use crate::output::Output;
use crate::place::Place;

#[derive(Args)]
pub struct Doctor {
    /// Prints the access rules of the server's users instead: one for apps, one for tools.
    #[arg(long)]
    acl: bool,
    /// Also judges the `Set-Cookie` line of a response as browsers do; `-` reads it from standard input, where
    /// other users of this machine do not see it.
    #[arg(long, value_name = "LINE|-")]
    set_cookie: Option<String>,
    /// Warnings end with exit code 1, too.
    #[arg(long)]
    strict: bool,
}

impl Doctor {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        if self.acl {
            return rules(place, output);
        }
        let line = match self.set_cookie.as_deref() {
            Some("-") => Some(read_input("Paste the Set-Cookie line, then press Ctrl-D.")?),
            line => line.map(str::to_owned),
        };
        let mut findings = look(place).await;
        findings.extend(line.iter().flat_map(|line| cookie::judge(line)));
        let worst = worst(&findings);
        let value = json!({ "worst": worst.name(), "findings": findings.iter().map(as_json).collect::<Vec<_>>() });
        output.answer(&value, || in_text(&findings, output));
        let least = if self.strict { Severity::Warning } else { Severity::Problem };
        Ok(if worst >= least { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

async fn look(place: &Place) -> Vec<Finding> {
    let (folder, clock) = (place.folder(), Clock::system());
    let mut findings: Vec<_> = place.check().err().iter().map(|error| said(Trouble::Configuration, error)).collect();
    match place.list() {
        Ok(list) => {
            let subject = Subject { folder: &folder, list: &list, app: place.named_app(), clock: &clock };
            findings.append(&mut examine(subject, from_env()).await);
        }
        Err(error) => findings.push(said(Trouble::Configuration, &error)),
    }
    findings
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.name(),
        "code": finding.trouble.map(Trouble::code),
        "seen": finding.seen,
        "fix": (!finding.fix.is_empty()).then_some(&finding.fix),
    })
}

fn in_text(findings: &[Finding], output: &Output) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let mut text = String::new();
    for finding in findings {
        let word = format!("{:<7}", finding.severity.name());
        let word = match finding.severity {
            Severity::Warning => output.middling(&word),
            severity => output.good_or_bad(severity == Severity::Ok, &word),
        };
        let code = finding.trouble.map(|trouble| format!("{trouble}: ")).unwrap_or_default();
        let _ = writeln!(text, "{word}  {code}{}", finding.seen);
        if !finding.fix.is_empty() {
            let _ = writeln!(text, "         {}", finding.fix);
        }
    }
    let (problems, warnings) = (count(Severity::Problem), count(Severity::Warning));
    if problems + warnings == 0 {
        return text + "All is well.";
    }
    text + &format!("{problems} problem(s), {warnings} warning(s). docs/troubleshooting.md says more about each code.")
}

fn rules(place: &Place, output: &Output) -> Result<ExitCode, Error> {
    let app = place.app()?;
    let (database, sentinels) = match place.list() {
        Ok(ListPlace::Redis(address)) => (address.database(), address.has_sentinels()),
        _ => (0, false),
    };
    let [node, admin] = Role::ALL.map(|role| Rule { role, app, database }.to_string());
    let sentinel = sentinels.then(sentinel_rule);
    let value = json!({ "node": node, "admin": admin, "sentinel": sentinel });
    output.answer(&value, || {
        let mut text = format!(
            "In redis-cli or valkey-cli on the server, for apps:\n\n{node}\n\nfor this program and the admin endpoint:\n\n{admin}\n"
        );
        if let Some(rule) = sentinel {
            let _ = writeln!(text, "\nand on each Sentinel, where it has users:\n\n{rule}");
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}
