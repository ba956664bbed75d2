//! The map form, for those who want Flask's `session["key"]`.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Session;
use crate::error::Error;

/// A session without a type of its own: text keys, any values.
///
/// ```
/// # use sealjar::{Map, Session};
/// # fn handler(session: &mut Session<Map>) -> Result<(), sealjar::Error> {
/// session.insert("colour", &"green")?;
/// assert_eq!(session["colour"], "green");
/// assert!(session["size"].is_null());            // a missing key is null, never a panic
/// let colour: Option<String> = session.value("colour");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Map(BTreeMap<String, Value>);

impl Map {
    /// The value at `key`, if it is there and of this type.
    #[must_use]
    pub fn get<V: DeserializeOwned>(&self, key: &str) -> Option<V> {
        self.0.get(key).and_then(|value| V::deserialize(value).ok())
    }

    /// Puts a value at `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the value refuses to be serialised.
    pub fn insert<V: Serialize + ?Sized>(&mut self, key: &str, value: &V) -> Result<(), Error> {
        let value = serde_json::to_value(value).map_err(|e| {
            Error::usage(format!("the value at `{key}` cannot be written: {e}"), "Change its Serialize")
        })?;
        self.0.insert(key.to_owned(), value);
        Ok(())
    }

    /// Takes the value at `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// The keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl Index<&str> for Map {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }
}

impl Session<Map> {
    /// The value at `key`, if it is there and of this type. When it is not, [`Session::verdict`] says
    /// whether the whole session is missing, and why.
    #[must_use]
    pub fn value<V: DeserializeOwned>(&self, key: &str) -> Option<V> {
        self.get().get(key)
    }

    /// Puts a value at `key`.
    ///
    /// # Errors
    ///
    /// As [`Map::insert`].
    pub fn insert<V: Serialize + ?Sized>(&mut self, key: &str, value: &V) -> Result<(), Error> {
        self.update(|map| map.insert(key, value))
    }

    /// Takes the value at `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.update(|map| map.remove(key))
    }
}

impl Index<&str> for Session<Map> {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.get()[key]
    }
}
