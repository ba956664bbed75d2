//! The session that every figure is about: 385 bytes of JSON, 299 of MessagePack.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Visitor {
    pub user_id: u64,
    pub name: String,
    pub email: String,
    pub roles: Vec<String>,
    pub csrf_token: String,
    pub locale: String,
    pub created_at: u64,
    pub last_seen_at: u64,
    pub cart: Vec<Item>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub sku: String,
    pub quantity: u32,
    pub cents: u32,
}

impl Visitor {
    pub fn typical() -> Self {
        let item = |sku: &str, quantity, cents| Item { sku: sku.into(), quantity, cents };
        Self {
            user_id: 184_467_440_737_095,
            name: "Ada Lovelace".into(),
            email: "augusta.ada.lovelace@example.org".into(),
            roles: ["customer", "editor", "sales"].map(Into::into).into(),
            csrf_token: "9f86d081884c7d659a2feaa0c55ad015".into(),
            locale: "en-GB".into(),
            created_at: 1_795_447_200,
            last_seen_at: 1_795_447_500,
            cart: vec![item("TEA-101", 2, 1299), item("MUG-202", 1, 850), item("POT-303", 1, 4200)],
        }
    }
}

/// A `Cookie` header of five cookies with the session's in the middle, as a browser would send it.
#[allow(dead_code, reason = "not every program opens cookies")]
pub fn header(pair: &str) -> String {
    format!("theme=dark; _ga=GA1.2.1234567890.1795447200; {pair}; consent=all; lang=en")
}
