use super::*;

fn parse(text: &str) -> RedisAddress {
    RedisAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    RedisAddress::parse(text).expect_err(text).to_string()
}

#[test]
fn no_password_is_shown() {
    let address = parse("redis://alice:hunter2@127.0.0.1:7000/3");
    assert_eq!(address.to_string(), "redis://127.0.0.1:7000/3");
    assert_eq!(format!("{address:?}"), "RedisAddress(redis://127.0.0.1:7000/3)");
    assert_eq!((address.user(), address.database()), ("alice", 3));
    let sentinels = "redis+sentinel://alice:hunter2@127.0.0.1,[::1]:7000/shop/3?sentinel_password=hunter3";
    assert_eq!(parse(sentinels).to_string(), "redis+sentinel://127.0.0.1:26379,[::1]:7000/shop/3");
    for wrong in [
        "redis://:hunter2@:x",
        "redis://hunter2@host",
        "rediss://:hunter2@host/#insecure",
        "hunter2",
        "redis://:hun?ter2@127.0.0.1",
        "redis+sentinel://:hunter2@127.0.0.1",
        "redis+sentinel://:hunter2@127.0.0.1/hunter2!",
        "redis+sentinel://:hunter2@host/shop",
        "redis://127.0.0.1?sentinel_password=hunter2",
        "redis://127.0.0.1?hunter2",
    ] {
        let said = refusal(wrong);
        assert!(!said.contains("hunter2") && !said.contains("ter2"), "{said}");
    }
}

#[test]
fn another_host_wants_tls() {
    for plain in ["redis://db.example:6379", "redis+sentinel://127.0.0.1,db.example/shop"] {
        let said = refusal(plain);
        assert!(said.contains("not encrypted") && said.contains("rediss://") && said.contains("?tls=off"), "{said}");
    }
    for good in [
        "redis://localhost",
        "redis://[::1]",
        "rediss://db.example",
        "redis://db.example:6379?tls=off",
        "rediss+sentinel://db.example,other.example:7000/shop",
        "redis+sentinel://db.example/shop?tls=off",
    ] {
        parse(good);
    }
    assert!(refusal("rediss://db.example/#insecure").contains("SSL_CERT_FILE"));
    // What Sentinels name is another host, whoever they are.
    let local = parse("redis+sentinel://127.0.0.1/shop");
    assert!(local.may_send_to(&local.server("127.0.0.1".into(), 1)) && local.is_local());
    assert!(!local.may_send_to(&local.server("10.0.0.1".into(), 1)));
    let encrypted = parse("rediss+sentinel://127.0.0.1/shop");
    assert!(encrypted.may_send_to(&encrypted.server("10.0.0.1".into(), 1)));
}

#[test]
fn sentinels_have_hosts_a_service_and_a_login_of_their_own() {
    let address = parse(
        "rediss+sentinel://node:p%40ss@one.example,[fd00::1],two.example:7000/shop-1/2\
         ?replicas=2&sentinel_username=w%20atch&sentinel_password=w%26rd",
    );
    let Route::Sentinels(sentinels) = address.route() else { panic!("{address:?}") };
    let hosts: Vec<_> = sentinels.hosts.iter().map(host_port).collect();
    assert_eq!(hosts, ["one.example:26379", "[fd00::1]:26379", "two.example:7000"]);
    assert!(sentinels.hosts.iter().all(|host| matches!(host, ConnectionAddr::TcpTls { insecure: false, .. })));
    assert_eq!((&*sentinels.service, user(&sentinels.login)), ("shop-1", "w atch"));
    assert_eq!(sentinels.login.password(), Some("w&rd"));
    assert_eq!((address.user(), address.database(), address.replicas()), ("node", 2, Some(2)));
    let to = address.info(address.server("10.0.0.1".into(), 6379)).unwrap();
    assert_eq!((to.redis_settings().password(), to.redis_settings().db()), (Some("p@ss"), 2));
    // The servers' password is none of the Sentinels' business.
    let Route::Sentinels(open) = parse("redis+sentinel://:word@127.0.0.1/shop").route().clone() else { panic!() };
    assert_eq!(open.login.password(), None);
}

#[test]
fn what_stands_behind_the_question_mark_is_known_or_refused() {
    for wrong in [
        "redis://127.0.0.1?tls=on",
        "rediss://host?tls=off",
        "redis://127.0.0.1?replica=0",
        "redis://127.0.0.1?replicas=-1",
        "redis://127.0.0.1?replicas",
        "redis://127.0.0.1?protocol=resp3",
    ] {
        let said = refusal(wrong);
        assert!(said.contains("means nothing there") && said.contains("?replicas=0"), "{wrong}: {said}");
    }
    assert_eq!(parse("redis://127.0.0.1").replicas(), None);
    assert_eq!(parse("redis://db.example?tls=off&replicas=0").replicas(), Some(0));
    assert!(refusal("redis+sentinel://127.0.0.1:26379").contains("no service"));
    for wrong in ["redis+sentinel:///shop", "redis+sentinel://one:x/shop", "redis+sentinel://one,,two/shop?tls=off"] {
        assert!(refusal(wrong).contains("cannot be read"), "{wrong}");
    }
}

#[test]
fn addresses_are_equal_when_all_of_them_is() {
    let one = "redis+sentinel://a:b@127.0.0.1/shop?replicas=1&sentinel_password=c";
    assert_eq!(parse(one), parse(one));
    for other in [
        "redis+sentinel://a:x@127.0.0.1/shop?replicas=1&sentinel_password=c",
        "redis+sentinel://a:b@127.0.0.1/shop?replicas=2&sentinel_password=c",
        "redis+sentinel://a:b@127.0.0.1/shop?replicas=1&sentinel_password=x",
        "redis+sentinel://a:b@127.0.0.1/other?replicas=1&sentinel_password=c",
    ] {
        assert_ne!(parse(one), parse(other));
    }
}
