use std::os::unix::fs::PermissionsExt as _;

use super::*;

const NOW: Seconds = Seconds(1_795_447_200);

fn folder() -> (tempfile::TempDir, KeyFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = KeyFolder::new(dir.path().join("keys"));
    (dir, folder)
}

fn write(folder: &KeyFolder, name: &str, text: &str, mode: u32) {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refusal(text: &str) -> String {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    write(&folder, "00000000.key", text, 0o600);
    let sentence = folder.load().unwrap_err().to_string();
    sentence.split_once("00000000.key: ").unwrap().1.to_owned()
}

fn key_file(secret: &[u8]) -> String {
    let secret = wire_text(secret);
    format!("SEALJAR-SECRET-KEY-1\nid: 00000000\nalgorithm: any\ncreated: 1\nsecret: {secret}\n")
}

fn wire_text(bytes: &[u8]) -> String {
    crate::wire::encode(bytes)
}

#[test]
fn init_makes_what_is_missing_and_changes_nothing_after() {
    let (_dir, folder) = folder();
    assert!(!folder.has_keys());
    folder.init(NOW).unwrap();
    let first = folder.fingerprint().unwrap();
    let list_key = folder.list_key().unwrap().fingerprint();
    folder.init(NOW).unwrap();
    assert_eq!(folder.fingerprint().unwrap(), first);
    assert_eq!(folder.list_key().unwrap().fingerprint(), list_key);
    assert_eq!(folder.load().unwrap().len(), 1);
}

#[test]
fn eight_processes_that_start_at_once_agree_on_one_key() {
    let (_dir, folder) = folder();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| folder.init(NOW).unwrap());
        }
    });
    assert_eq!(folder.load().unwrap().len(), 1);
}

#[test]
fn files_belong_to_their_owner_alone() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    folder.new_key(NOW).unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn an_empty_folder_says_which_command_makes_the_first_key() {
    let (_dir, folder) = folder();
    let path = folder.path().display().to_string();
    let sentence = format!(
        "there is no key in the folder {path}. Make the first one with `sealjar keys init --keys {path}`; \
         on a further server copy the folder of the first, all its files at mode 0600"
    );
    assert_eq!(folder.load().unwrap_err().to_string(), sentence);
    assert_eq!(folder.list_key().unwrap_err().to_string(), sentence);
    assert_eq!(folder.new_key(NOW).unwrap_err().to_string(), sentence);
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        let name =
            format!("{}.key", folder.read().unwrap().keys.first().map_or_else(String::new, |k| k.id().to_string()));
        let path = folder.path().join(&name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let sentence = folder.load().unwrap_err().to_string();
        assert!(sentence.contains(&format!("it is open to others (mode {mode:04o})")), "{sentence}");
        assert!(sentence.ends_with(
            "Run `chmod 600` on it; if others had access to this machine, treat the key as leaked and replace it"
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn weak_keys_are_refused_each_with_its_sentence() {
    let make = "Keys must be random: make one with `sealjar keys new`";
    assert_eq!(refusal(&key_file(&[7; 32])), format!("its secret is one byte over and over. {make}"));
    assert_eq!(refusal(&key_file(&[1, 2, 3, 9].repeat(8))), format!("its secret repeats itself. {make}"));
    assert_eq!(
        refusal(&key_file(b"correct horse battery staple 123")),
        format!("its secret reads as text, so somebody typed it. {make}")
    );
    let counting: Vec<u8> = (0..32).collect();
    assert_eq!(refusal(&key_file(&counting)), format!("its secret counts upwards. {make}"));
    assert!(refusal(&key_file(&[3, 1, 4, 1, 5, 9, 2, 6])).starts_with("its secret has 8 bytes instead of 32."));
    assert!(refusal("hunter2").starts_with("it does not begin with SEALJAR-SECRET-KEY-1"));
    assert!(refusal(&format!("{}comment: x\n", key_file(&[0; 32]))).starts_with("it has a line that is unknown"));
    assert!(refusal(&key_file(&[0; 32]).replace("created: 1\n", "")).starts_with("its line `created:` is missing"));
    assert!(
        refusal(&key_file(&[0; 32]).replace("created: 1", "created: today")).starts_with("its line `created:` is not")
    );
    assert!(refusal(&"x".repeat(5000)).starts_with("it is far too large for a key"));
}

#[test]
fn a_key_under_another_name_or_id_is_refused() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    let key = Key::generate(NOW).unwrap();
    write(&folder, "copy.key", &key.to_file(), 0o600);
    let sentence = folder.load().unwrap_err().to_string();
    assert!(sentence.contains(&format!("copy.key holds the key {}", key.id())), "{sentence}");
    let forged = key.to_file().replace(&key.id().to_string(), "00000000");
    assert!(refusal(&forged).starts_with("its id does not belong to its secret"));
}

#[test]
fn messages_about_keys_never_repeat_them() {
    let key = Key::generate(NOW).unwrap();
    let text = key.to_file();
    let secret = text.lines().find_map(|line| line.strip_prefix("secret: ")).unwrap();
    let broken = text.replace("created", "creation");
    assert!(!refusal(&broken).contains(secret));
    assert!(!format!("{key:?}").contains(secret));
}

#[test]
fn good_keys_are_read_beside_a_bad_one() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    write(&folder, "junk.key", "junk", 0o600);
    let contents = folder.read().unwrap();
    assert_eq!((contents.keys.len(), contents.refused.len()), (1, 1));
}

#[test]
fn a_new_key_is_the_youngest_even_when_the_clock_was_set_back() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    let new = folder.new_key(Seconds(1)).unwrap();
    let keys = folder.load().unwrap();
    assert_eq!(keys.last().map(Key::id), Some(new.id()));
    assert!(keys[0].created() < keys[1].created());
}

#[test]
fn a_lost_list_key_is_named_and_never_replaced() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    fs::remove_file(folder.path().join(LIST_KEY)).unwrap();
    for error in [folder.init(NOW).unwrap_err(), folder.new_key(NOW).unwrap_err(), folder.list_key().unwrap_err()] {
        assert!(error.to_string().starts_with("the file list.key is missing in "), "{error}");
    }
    assert!(!folder.path().join(LIST_KEY).exists());
}

/// Root makes a key for an app that runs as somebody else. Only root can show this.
#[test]
fn a_key_belongs_to_whom_the_folder_belongs_to() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    if chown(folder.path(), Some(65_534), Some(65_534)).is_err() {
        println!("not shown: this user may not give a folder away");
        return;
    }
    let key = folder.new_key(NOW).unwrap();
    let meta = fs::metadata(folder.path().join(format!("{}.key", key.id()))).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (65_534, 0o600));
}

/// The sentence about an open file says `chmod 600`: that alone has to be noticed.
#[test]
fn a_changed_mode_is_a_change() {
    let (_dir, folder) = folder();
    folder.init(NOW).unwrap();
    write(&folder, "00000000.key", "text", 0o644);
    let open = folder.fingerprint().unwrap();
    assert_eq!(folder.fingerprint().unwrap(), open);
    // The clocks of file systems tick every few milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::set_permissions(folder.path().join("00000000.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(folder.fingerprint().unwrap(), open);
}
