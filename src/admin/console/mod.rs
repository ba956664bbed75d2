//! The console: one page for a browser, put together from files that people read apart.
//!
//! The page knows nothing. The operator types a token into it, it asks the routes beside it with that token,
//! and shows what they say. The token is in the memory of the page and nowhere else.
//!
//! # Security
//!
//! Only its own script and its own style run in it, by their hashes (Content Security Policy, level 3), and
//! it may talk to its own server only. Its script cannot turn text into markup: the browser refuses that
//! (`require-trusted-types-for`), so what the server says is shown as text whatever is in it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use warp::http::HeaderValue;

/// A page and what may run in it.
#[derive(Debug)]
pub struct Page {
    /// The page.
    pub html: String,
    /// Its `Content-Security-Policy`.
    pub policy: HeaderValue,
}

const STYLE: &[&str] = &[include_str!("style/house.css"), include_str!("style/panels.css")];

/// One module, in this order.
const SCRIPT: &[&str] = &[
    include_str!("script/show.js"),
    include_str!("script/server.js"),
    include_str!("script/events.js"),
    include_str!("script/logout.js"),
    include_str!("script/progress.js"),
    include_str!("script/why.js"),
    include_str!("script/nodes.js"),
    include_str!("script/store.js"),
    include_str!("script/keys.js"),
    include_str!("script/rotation.js"),
    include_str!("script/figures.js"),
    include_str!("script/audit.js"),
    include_str!("script/start.js"),
];

/// The page, made at the first call.
#[must_use]
pub fn page() -> &'static Page {
    static PAGE: LazyLock<Page> = LazyLock::new(|| {
        let (style, script) = (STYLE.concat(), SCRIPT.concat());
        let html = include_str!("page.html").replacen("/* style */", &style, 1).replacen("/* script */", &script, 1);
        Page { html, policy: policy(&style, &script) }
    });
    &PAGE
}

fn policy(style: &str, script: &str) -> HeaderValue {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(script),
        hash(style)
    );
    HeaderValue::try_from(policy).expect("visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(tag: &str) -> &'static str {
        let (_, rest) = page().html.split_once(&format!("<{tag}>")).expect("it begins");
        rest.split_once("</").expect("it ends").0
    }

    /// The page holds what was hashed, byte for byte, and nothing that would need another permission.
    #[test]
    fn the_policy_is_the_pages_own() {
        let policy = page().policy.to_str().unwrap();
        for text in [inside("style"), inside("script type=\"module\"")] {
            assert!(text.len() > 5_000);
            assert!(policy.contains(&format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))));
        }
        assert_eq!(page().html.matches("<script").count(), 1);
        assert!(!policy.contains("unsafe") && !policy.contains("http"));
        for attribute in [" style=", " onclick=", " onload=", " src=", "javascript:"] {
            assert!(!page().html.contains(attribute), "{attribute}");
        }
    }

    /// Where the routes are mounted is not known to the page, so it names nothing from the root; and what it
    /// says never becomes markup.
    #[test]
    fn the_script_asks_beside_the_page_and_writes_text_only() {
        let script = SCRIPT.concat();
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Storage", "cookie ="]
        {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
        assert!(!script.contains("\"/v1") && script.contains("\"v1/"));
    }
}
