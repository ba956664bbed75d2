use super::*;

fn wishes(change: impl FnOnce(&mut CookieWishes)) -> Result<CookieRules, Error> {
    let mut wishes = CookieWishes::default();
    change(&mut wishes);
    wishes.check("shop")
}

fn refusal(change: impl FnOnce(&mut CookieWishes)) -> String {
    wishes(change).expect_err("this should be refused").to_string()
}

fn domain(domain: &str) -> String {
    refusal(|w| w.domain = Some(domain.into()))
}

#[test]
fn the_default_is_the_strictest_that_browsers_know() {
    let rules = wishes(|_| {}).unwrap();
    assert_eq!(rules.set("v".into(), Duration::from_secs(60)), "__Host-shop=v; HttpOnly; SameSite=Lax; Secure; Path=/");
}

#[test]
fn a_removal_carries_the_same_attributes() {
    let rules = wishes(|w| w.domain = Some("Example.org".into())).unwrap();
    assert_eq!(
        rules.remove(),
        "__Secure-shop=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.org; Max-Age=0; \
         Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    );
}

#[test]
fn a_persistent_cookie_lives_as_long_as_the_session_can() {
    let rules = wishes(|w| w.persistent = true).unwrap();
    assert!(rules.set("v".into(), Duration::from_secs(60)).ends_with("; Max-Age=60"));
}

#[test]
fn names_follow_what_the_cookie_can_promise() {
    assert_eq!(wishes(|w| w.secure = false).unwrap().name(), "shop");
    assert_eq!(wishes(|w| w.domain = Some("example.org".into())).unwrap().name(), "__Secure-shop");
    assert_eq!(wishes(|w| w.path = "/app".into()).unwrap().name(), "__Secure-shop");
}

#[test]
fn a_star_is_not_a_domain() {
    assert_eq!(
        domain("*"),
        "`.domain(\"*\")` has a `*`, which is not a host, and browsers drop the cookie without a word. \
         Leave it out for one host, or write the bare parent of your hosts: `.domain(\"example.org\")`"
    );
    assert!(domain("*.example.org").contains("has a `*`"));
}

#[test]
fn a_domain_has_no_scheme_port_path_or_dot_in_front() {
    assert!(domain("https://example.org").contains("has a scheme"));
    assert!(domain("example.org:8080").contains("has a port, and cookies know no ports"));
    assert!(domain("example.org/app").contains("has a path"));
    assert!(domain(".example.org").contains("begins with a dot"));
    assert!(domain("192.0.2.1").contains("is an IP address"));
    assert!(domain("::1").contains("is an IP address"));
    for junk in ["", "a b", "exa_mple.org", "example..org", "-a.org", "münchen.de"] {
        assert!(domain(junk).contains("is not a host name"), "{junk}");
    }
}

#[test]
fn a_public_suffix_is_refused() {
    for suffix in ["org", "co.uk", "github.io"] {
        assert!(domain(suffix).contains("is a public suffix, under which strangers register names"), "{suffix}");
    }
    assert!(wishes(|w| w.domain = Some("example.co.uk".into())).is_ok());
    assert!(domain("localhost").ends_with("Leave it out, and call `.localhost()` for plain http"));
}

#[test]
fn same_site_none_needs_secure() {
    let sentence = refusal(|w| {
        w.same_site = SameSite::None;
        w.secure = false;
    });
    assert_eq!(
        sentence,
        "SameSite=None needs Secure: browsers drop the cookie without a word. \
         Leave out `.localhost()` and serve https, or leave SameSite at Lax"
    );
}

#[test]
fn prefixes_keep_their_promises() {
    let host = |change: fn(&mut CookieWishes)| {
        refusal(|w| {
            w.name = Some("__Host-shop".into());
            change(w);
        })
    };
    assert!(
        host(|w| w.domain = Some("example.org".into())).contains("has a Domain, and browsers drop a __Host- cookie")
    );
    assert!(host(|w| w.path = "/app".into()).contains("has Path=/app, and browsers drop a __Host- cookie"));
    assert!(host(|w| w.secure = false).contains("is not Secure, and browsers drop such a name"));
    assert!(
        refusal(|w| {
            w.name = Some("__SECURE-shop".into());
            w.secure = false;
        })
        .contains("is not Secure")
    );
}

#[test]
fn names_and_paths_must_be_writable() {
    assert!(refusal(|w| w.name = Some("a b".into())).contains("is not a cookie name"));
    assert!(refusal(|w| w.name = Some(String::new())).contains("is not a cookie name"));
    assert!(refusal(|w| w.path = "app".into()).contains("is not a path that begins with `/`"));
    assert!(refusal(|w| w.path = "/a;b".into()).contains("is not a path"));
}

#[test]
fn duplicates_are_removed_wherever_a_sibling_could_have_put_them() {
    let local = wishes(|w| w.secure = false).unwrap();
    let domains = |host| -> Vec<String> {
        let lines = local.remove_all(Some(host));
        lines.iter().filter_map(|line| Some(line.split("Domain=").nth(1)?.split(';').next()?.to_owned())).collect()
    };
    assert_eq!(domains("app.corp.example.org:3030"), ["app.corp.example.org", "corp.example.org", "example.org"]);
    for hostile in ["a;b; Secure=x.com", "1.2.3.4", "[::1]:80", "", "localhost", "x\r\nset-cookie: a"] {
        assert_eq!(domains(hostile), [""; 0], "{hostile}");
    }
    assert!(domains(&"a.".repeat(99)).len() <= MAX_PARENTS);
    assert_eq!(
        wishes(|_| {}).unwrap().remove_all(Some("app.example.org")).len(),
        1,
        "nobody else can set a __Host- cookie"
    );
}
