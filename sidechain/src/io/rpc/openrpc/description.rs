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
    either_or_null(&[name])
}

/// One of several that the document names, or null.
pub fn either_or_null(names: &[&str]) -> Shape {
    let named = names.iter().map(|name| json!({ "$ref": format!("#{SCHEMAS}/{name}") }));
    Shape::Json(json!({ "anyOf": named.chain([json!({ "type": "null" })]).collect::<Vec<_>>() }))
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

/// An error that other methods do not have.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub code: i32,
    pub message: &'static str,
}

/// A method's part of the document.
#[derive(Clone, Debug)]
pub struct Description {
    pub name: &'static str,
    /// What it answers, in a sentence.
    pub summary: &'static str,
    pub parameters: Vec<Parameter>,
    pub result: Shape,
    /// Besides those that every method may have.
    pub refusals: Vec<Refusal>,
}

/// A method without parameters.
pub fn method(name: &'static str, summary: &'static str, result: Shape) -> Description {
    Description { name, summary, parameters: Vec::new(), result, refusals: Vec::new() }
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

    /// With an error of its own.
    pub fn refuses(mut self, code: i32, message: &'static str) -> Self {
        self.refusals.push(Refusal { code, message });
        self
    }

    fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }
}
