//! Parts that schemas are made of.

use serde_json::{Map, Value, json};

use super::description::SCHEMAS;

/// Schemas by the names that the document gives them.
pub type Schemas = Vec<(&'static str, Value)>;

pub fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

pub fn link(name: &str) -> Value {
    json!({ "$ref": format!("#{}/{name}", SCHEMAS) })
}

pub fn array(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object with any names.
pub fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

pub fn any(shapes: &[Value]) -> Value {
    json!({ "anyOf": shapes })
}

pub fn nullable(shape: Value) -> Value {
    any(&[shape, json!({ "type": "null" })])
}

pub fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        required.iter().chain(optional).map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect();
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": names, "properties": properties })
}
