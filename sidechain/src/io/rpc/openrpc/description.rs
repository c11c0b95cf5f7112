//! What a method does, wants and answers.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Where a document keeps its schemas.
pub const SCHEMAS: &str = "/components/schemas";

/// The shape of a parameter or a result.
#[derive(Clone, Debug)]
pub enum Shape {
    /// As it stands.
    Json(Value),
    /// Derived from a type.
    Derived(fn(&mut SchemaGenerator) -> Schema),
}

/// A shape that the document names.
pub fn named(name: &str) -> Shape {
    Shape::Json(json!({ "$ref": format!("#{SCHEMAS}/{name}") }))
}

/// A list of what the document names.
pub fn list(name: &str) -> Shape {
    Shape::Json(json!({ "type": "array", "items": { "$ref": format!("#{SCHEMAS}/{name}") } }))
}

/// What the document names, or null.
pub fn or_null(name: &str) -> Shape {
    Shape::Json(json!({ "anyOf": [{ "$ref": format!("#{SCHEMAS}/{name}") }, { "type": "null" }] }))
}

/// The shape of a type of an answer.
pub fn answer<T: JsonSchema>() -> Shape {
    Shape::Derived(|generator| generator.subschema_for::<T>())
}

/// The shape of a type of a parameter. Other fields must be there than in an answer, so it is written out.
pub fn parameter<T: JsonSchema>() -> Shape {
    Shape::Derived(|_| {
        let settings = SchemaSettings::draft07().for_deserialize().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        settings.into_generator().into_root_schema_for::<T>()
    })
}

/// A parameter, by its position.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub is_required: bool,
    pub shape: Shape,
}

/// A method's part of the document.
#[derive(Clone, Debug)]
pub struct Description {
    pub name: &'static str,
    /// What it answers, in a sentence.
    pub summary: &'static str,
    pub parameters: Vec<Parameter>,
    pub result: Shape,
}

/// A method without parameters.
pub fn method(name: &'static str, summary: &'static str, result: Shape) -> Description {
    Description { name, summary, parameters: Vec::new(), result }
}

impl Description {
    /// With a further parameter.
    pub fn wants(self, name: &'static str, shape: Shape) -> Self {
        self.with(Parameter { name, is_required: true, shape })
    }

    /// With a further parameter, which may be missing.
    pub fn takes(self, name: &'static str, shape: Shape) -> Self {
        self.with(Parameter { name, is_required: false, shape })
    }

    fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }
}
