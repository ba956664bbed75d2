//! Finding our cookie in the raw bytes of the request.
//!
//! Parsers that decode, unquote or trim generously let one cookie swallow or impersonate another
//! (a `"` before ours, `%5F%5FHost-`, a Unicode space). So this one compares bytes: the exact name, SP and
//! HTAB trimmed, nothing decoded (RFC 6265bis, section 5.8.3, on how user agents write the header).
//! What stands in other cookies cannot change what is found.

use memchr::memchr;

use crate::verdict::Verdict;

/// Longest `Cookie` header that is read, over all its fields.
pub const MAX_HEADER: usize = 64 * 1024;
/// Most name-value pairs in it. Browsers keep up to 180 for a site, and a sibling host can fill them up:
/// that must not hide our cookie, so the cap is well above.
pub const MAX_PAIRS: usize = 512;
/// Most values of our name. Sibling hosts can plant some; those that do not open are passed over.
pub const MAX_CANDIDATES: usize = 16;

/// The values of our name, in the order in which they were sent. Nearly always one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// The first.
    pub first: &'a [u8],
    /// Those behind it.
    pub others: Vec<&'a [u8]>,
}

impl<'a> Candidates<'a> {
    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// Walks all `Cookie` fields of a request (HTTP/2 splits them) for values of `name`.
///
/// Takes time linear in the header, and allocates only for a second value of our name.
///
/// # Errors
///
/// [`Verdict::NoCookie`] when there is none, [`Verdict::TooLarge`] beyond [`MAX_HEADER`] bytes or
/// [`MAX_PAIRS`] pairs, [`Verdict::Duplicate`] beyond [`MAX_CANDIDATES`] values.
pub fn find<'a>(fields: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Result<Candidates<'a>, Verdict> {
    let mut found: Option<Candidates<'a>> = None;
    let (mut bytes, mut pairs) = (0_usize, 0_usize);
    for field in fields {
        bytes += field.len();
        if bytes > MAX_HEADER {
            return Err(Verdict::TooLarge);
        }
        let mut rest = Some(field);
        while let Some(left) = rest {
            pairs += 1;
            if pairs > MAX_PAIRS {
                return Err(Verdict::TooLarge);
            }
            let pair;
            (pair, rest) = match memchr(b';', left) {
                Some(end) => (&left[..end], Some(&left[end + 1..])),
                None => (left, None),
            };
            let Some(value) = value_of(pair, name.as_bytes()) else { continue };
            match &mut found {
                None => found = Some(Candidates { first: value, others: Vec::new() }),
                Some(Candidates { others, .. }) if others.len() + 1 < MAX_CANDIDATES => others.push(value),
                Some(_) => return Err(Verdict::Duplicate),
            }
        }
    }
    found.ok_or(Verdict::NoCookie)
}

fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = trim(pair).strip_prefix(name)?;
    rest.strip_prefix(b"=").map(trim)
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'a>(fields: &[&'a [u8]]) -> Result<Vec<&'a [u8]>, Verdict> {
        find(fields.iter().copied(), "__Host-shop").map(|found| found.values().collect())
    }

    #[test]
    fn other_cookies_cannot_hide_ours() {
        for other in ["a=\u{e9}", "a=\"", "a=\"x", "=", "", "a", "a=%00", "__Host-shopping=z", "x__Host-shop=z"] {
            let header = format!("{other}; __Host-shop=v; b=\"");
            assert_eq!(values(&[header.as_bytes()]), Ok(vec![&b"v"[..]]), "{other}");
        }
    }

    #[test]
    fn only_the_exact_name_counts() {
        for header in [
            "%5F%5FHost-shop=v",
            "__host-shop=v",
            "__Host-shop =v",
            "\u{2003}__Host-shop=v",
            "\"__Host-shop\"=v",
            "__Host-shop",
            "=__Host-shop=v",
        ] {
            assert_eq!(values(&[header.as_bytes()]), Err(Verdict::NoCookie), "{header}");
        }
    }

    #[test]
    fn all_fields_are_read_and_only_sp_and_htab_trimmed() {
        assert_eq!(values(&[b"a=1", b"b=2; \t__Host-shop=\tv \t"]), Ok(vec![&b"v"[..]]));
        assert_eq!(values(&[b"__Host-shop=\x0bv"]), Ok(vec![&b"\x0bv"[..]]));
        assert_eq!(values(&[b"__Host-shop=1", b"__Host-shop=2"]), Ok(vec![&b"1"[..], b"2"]));
    }

    #[test]
    fn caps_hold_before_any_work() {
        assert_eq!(values(&[&vec![b'a'; MAX_HEADER + 1]]), Err(Verdict::TooLarge));
        let many = "a=1;".repeat(10_000);
        assert_eq!(values(&[many.as_bytes()]), Err(Verdict::TooLarge));
        let copies = "__Host-shop=1;".repeat(MAX_CANDIDATES + 1);
        assert_eq!(values(&[copies.as_bytes()]), Err(Verdict::Duplicate));
    }
}
