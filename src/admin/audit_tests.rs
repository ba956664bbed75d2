use super::super::verify::Verifier;
use super::*;

const NOW: Seconds = Seconds(1_795_447_200);

fn audit(count: u64) -> Vec<String> {
    let mut head = Head::default();
    let entry = |n| Entry {
        reason: Some(format!("reason {n}, with \",\"hash\":\"aa\"}} in it")),
        ..Entry::new(Event::Attempt, "revoke")
    };
    (0..count)
        .map(|n| {
            let (text, next) = line(head, &entry(n), NOW);
            head = next;
            text
        })
        .collect()
}

fn head(lines: &[String]) -> Option<Head> {
    lines.last().and_then(|line| head_of(line))
}

fn verify(lines: &[String], head: Option<Head>) -> Vec<(u64, Option<u64>, String)> {
    let mut verifier = Verifier::default();
    lines.iter().for_each(|line| verifier.take(line.as_bytes()));
    let findings = verifier.finish(0, head).findings;
    findings.into_iter().map(|found| (found.line, found.seq, found.problem)).collect()
}

#[test]
fn a_whole_audit_has_no_findings_and_a_line_looks_like_the_drawing() {
    let lines = audit(9);
    assert_eq!(verify(&lines, head(&lines)), []);
    assert_eq!(verify(&lines, head(&lines[..8])), [], "a head that lags by a crash is no loss");
    assert_eq!(verify(&[], None), []);
    assert!(
        lines[6].starts_with(r#"{"seq":7,"at":"2026-11-23T15:20:00Z","event":"attempt","action":"revoke","#),
        "{}",
        lines[6]
    );
    let (record, covered, stated) = read(&lines[6]).unwrap();
    assert_eq!((record.seq, record.entry.reason.unwrap().as_str()), (7, r#"reason 6, with ","hash":"aa"} in it"#));
    let before = read(&lines[5]).unwrap().2;
    let by_hand: [u8; 32] = Sha256::digest([&before[..], covered].concat()).into();
    assert_eq!(stated, by_hand);
}

/// Every byte of a record, altered to anything that differs, is noticed, and the record is named.
#[test]
fn any_altered_byte_is_found() {
    let lines = audit(5);
    let mut altered = 0;
    for at in 0..lines[2].len() {
        for flip in [1_u8, 2, 4, 0x20] {
            let mut bytes = lines[2].clone().into_bytes();
            bytes[at] ^= flip;
            if bytes[at] == b'\n' {
                continue;
            }
            let mut verifier = Verifier::default();
            for (n, line) in lines.iter().enumerate() {
                verifier.take(if n == 2 { &bytes } else { line.as_bytes() });
            }
            let findings = verifier.finish(0, head(&lines)).findings;
            assert!(
                findings.iter().any(|found| found.line == 3 || found.seq == Some(4)),
                "byte {at} ^ {flip}: {findings:?}"
            );
            altered += 1;
        }
    }
    assert!(altered > 700, "{altered}");
}

#[test]
fn removed_swapped_inserted_and_cut_records_are_found_and_named() {
    let lines = audit(6);
    let last = head(&lines);
    for gone in 0..6_usize {
        let mut left = lines.clone();
        left.remove(gone);
        let found = verify(&left, last);
        assert_eq!(found.len(), 1, "{found:?}");
        let (line, _, problem) = &found[0];
        assert_eq!(*line, gone as u64 + 1);
        assert!(
            problem.contains(if gone == 5 { "the last 1 are missing" } else { "1 between them are missing" }),
            "{problem}"
        );
    }
    let mut swapped = lines.clone();
    swapped.swap(1, 3);
    assert!(verify(&swapped, last).len() >= 3);
    let mut doubled = lines.clone();
    doubled.insert(3, lines[1].clone());
    assert!(
        verify(&doubled, last)
            .iter()
            .any(|(line, seq, problem)| (*line, *seq) == (4, Some(2)) && problem.contains("was moved or put in"))
    );
    let mut foreign = lines.clone();
    foreign.insert(2, "junk".into());
    assert_eq!(verify(&foreign, last), [(3, None, "cannot be read as a record".to_owned())]);
    assert!(verify(&lines[1..], last)[0].2.contains("follows on record 0: 1 between them are missing"));
    assert!(verify(&lines, None)[0].2.contains("the head file is missing"));
}

/// Whoever renumbers what is left must forge every hash after it, and then the head differs, or the one that
/// was kept elsewhere.
#[test]
fn an_audit_written_anew_is_found_by_a_head_that_was_kept_elsewhere() {
    let lines = audit(6);
    let kept = head(&lines[..4]);
    let mut forged = audit(2);
    let mut at = head(&forged).unwrap();
    for n in 0..4 {
        let (text, next) = line(at, &Entry::new(Event::Read, format!("forged {n}")), NOW);
        forged.push(text);
        at = next;
    }
    assert!(verify(&forged, head(&lines))[0].2.contains("is not the one that the head file knows"));
    assert_eq!(verify(&forged, Some(at)), [], "with a forged head nobody could tell");
    let mut verifier = Verifier::anchored(kept);
    forged.iter().for_each(|line| verifier.take(line.as_bytes()));
    let findings = verifier.finish(0, Some(at)).findings;
    assert!(findings.len() == 1 && findings[0].problem.contains("whose head you gave"), "{findings:?}");
    let mut verifier = Verifier::anchored(kept);
    lines.iter().for_each(|line| verifier.take(line.as_bytes()));
    assert_eq!(verifier.finish(0, head(&lines)).findings, []);
}

#[test]
fn a_head_reads_back_and_a_torn_line_is_told() {
    let lines = audit(3);
    let head = head(&lines).unwrap();
    assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
    assert_eq!(format!("{head}\n").replace(' ', ":").parse::<Head>().unwrap(), head);
    for junk in ["", "3", "3 zz", "x 00"] {
        assert!(junk.parse::<Head>().is_err(), "{junk}");
    }
    let mut verifier = Verifier::default();
    lines.iter().for_each(|line| verifier.take(line.as_bytes()));
    assert_eq!(verifier.finish(7, Some(head)).findings[0].problem, "7 bytes of a line that was never finished");
}
