//! The app's data inside the seal: MessagePack with named fields, or JSON where scripts must read it.
//!
//! Both describe themselves, so an added field logs nobody out. The seal has been verified by the time
//! this runs, and the decoder still trusts nothing: depth is capped, and every byte must be used.

use std::io::ErrorKind;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize as _, Serialize};

use crate::error::Error;
use crate::wire::Suite;

/// Deepest nesting that is decoded.
pub const MAX_DEPTH: usize = 32;

/// Why a payload does not decode. Names no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

/// Appends `value` in the suite's encoding.
///
/// # Errors
///
/// [`Error::Usage`] when the type itself refuses to be serialised.
pub fn encode<T: Serialize + ?Sized>(suite: Suite, value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    let done = match suite {
        Suite::Encrypted => {
            let mut serializer = rmp_serde::Serializer::new(&mut *out).with_struct_map();
            value.serialize(&mut serializer).map_err(|e| e.to_string())
        }
        Suite::Signed => serde_json::to_writer(&mut *out, value).map_err(|e| e.to_string()),
    };
    done.map_err(|why| {
        Error::usage(
            format!("the session's type cannot be written as {}: {why}", encoding(suite)),
            "Change the type or its Serialize; maps need text keys in signed sessions",
        )
    })
}

/// Reads a value back; all bytes must belong to it.
///
/// # Errors
///
/// [`Undecodable`] for bytes of another type, deeper than [`MAX_DEPTH`], or with something behind them.
pub fn decode<T: DeserializeOwned>(suite: Suite, bytes: &[u8]) -> Result<T, Undecodable> {
    match suite {
        Suite::Encrypted => {
            let mut rest = rmp_serde::Deserializer::from_read_ref(bytes);
            // The reader refuses at its limit already, not beyond it.
            rest.set_max_depth(MAX_DEPTH + 1);
            let value = T::deserialize(&mut rest).map_err(|_| Undecodable)?;
            // The reader does not say where it stands; that nothing more can be read, it does.
            match IgnoredAny::deserialize(&mut rest) {
                Err(rmp_serde::decode::Error::InvalidMarkerRead(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                    Ok(value)
                }
                _ => Err(Undecodable),
            }
        }
        Suite::Signed => {
            // Nothing nests deeper than it has brackets, and those are counted many at a time.
            let brackets = bytes.iter().filter(|&byte| matches!(byte, b'[' | b'{')).count();
            if brackets > MAX_DEPTH && json_depth(bytes) > MAX_DEPTH {
                return Err(Undecodable);
            }
            serde_json::from_slice(bytes).map_err(|_| Undecodable)
        }
    }
}

/// The heaviest top-level fields with their share, for the message that a session has grown too large.
pub fn heaviest<T: Serialize + ?Sized>(value: &T) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(value) else {
        return "unknown, as it is no struct or map".into();
    };
    let mut sizes: Vec<_> = fields.iter().map(|(name, value)| (value.to_string().len(), name)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let named: Vec<_> = sizes.iter().take(3).map(|(size, name)| format!("`{name}` ({size} bytes)")).collect();
    named.join(", ")
}

const fn encoding(suite: Suite) -> &'static str {
    match suite {
        Suite::Encrypted => "MessagePack",
        Suite::Signed => "JSON",
    }
}

/// How deep brackets nest outside strings. `serde_json` has a cap of its own, four times as deep.
fn json_depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::Value as Any;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Old {
        name: String,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct New {
        #[serde(default)]
        locale: String,
        name: String,
    }

    fn through<A: Serialize, B: DeserializeOwned>(suite: Suite, value: &A) -> Result<B, Undecodable> {
        let mut bytes = Vec::new();
        encode(suite, value, &mut bytes).unwrap();
        decode(suite, &bytes)
    }

    #[test]
    fn fields_may_come_and_go() {
        for suite in [Suite::Encrypted, Suite::Signed] {
            let old = Old { name: "Ada".into() };
            let new = New { locale: String::new(), name: "Ada".into() };
            assert_eq!(through::<_, New>(suite, &old), Ok(New { locale: String::new(), name: "Ada".into() }));
            assert_eq!(through::<_, Old>(suite, &new), Ok(old));
        }
    }

    #[test]
    fn bytes_behind_the_value_are_refused() {
        assert_eq!(decode::<u8>(Suite::Encrypted, &[1]), Ok(1));
        assert_eq!(decode::<u8>(Suite::Encrypted, &[1, 1]), Err(Undecodable));
        assert_eq!(decode::<u8>(Suite::Signed, b"1 1"), Err(Undecodable));
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let json = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let msgpack = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(decode::<Any>(Suite::Signed, json(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(decode::<Any>(Suite::Signed, json(MAX_DEPTH + 1).as_bytes()), Err(Undecodable));
        assert_eq!(decode::<Any>(Suite::Signed, json(100_000).as_bytes()), Err(Undecodable));
        assert!(decode::<Any>(Suite::Encrypted, &msgpack(MAX_DEPTH)).is_ok());
        assert_eq!(decode::<Any>(Suite::Encrypted, &msgpack(MAX_DEPTH + 1)), Err(Undecodable));
        assert_eq!(decode::<Any>(Suite::Encrypted, &msgpack(100_000)), Err(Undecodable));
        assert_eq!(json_depth(br#"["[[[\"[[", "]"]"#), 1, "brackets in strings do not count");
    }

    #[test]
    fn the_heaviest_field_is_named_without_its_value() {
        let text = heaviest(&New { locale: "en".into(), name: "x".repeat(500) });
        assert_eq!(text, "`name` (502 bytes), `locale` (4 bytes)");
    }
}
