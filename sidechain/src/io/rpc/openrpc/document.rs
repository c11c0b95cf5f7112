//! The document: OpenRPC 1.3.2, whose schemas are JSON Schema draft 7.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::description::{Description, Parameter, Refusal, SCHEMAS, Shape};
use super::schema::Schemas;

/// The document of these methods, as far as they are served, and of the shapes that they name.
pub fn document(descriptions: Vec<Description>, named: Schemas, served: &[&str]) -> Value {
    let settings = SchemaSettings::draft07().for_serialize().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let described = descriptions.into_iter().filter(|description| served.contains(&description.name));
    let methods: Vec<Value> = described.map(|description| method(description, &mut generator)).collect();
    let mut schemas: Map<String, Value> = named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    schemas.extend(generator.take_definitions(true));
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Causeway",
            "description": "JSON-RPC of a node of a sidechain with a two-way Bitcoin peg: Ethereum's methods, and peg_* for the bridge.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": methods,
        "components": { "schemas": schemas, "errors": errors() },
    })
}

fn method(description: Description, generator: &mut SchemaGenerator) -> Value {
    let Description { name, summary, parameters, result, refusals } = description;
    let parameters: Vec<Value> = parameters.into_iter().map(|wanted| parameter(wanted, generator)).collect();
    let common = errors().into_iter().map(|(name, _)| json!({ "$ref": format!("#/components/errors/{name}") }));
    let own = refusals.iter().map(|Refusal { code, message }| json!({ "code": code, "message": message }));
    json!({
        "name": name,
        "summary": summary,
        "paramStructure": "by-position",
        "params": parameters,
        "result": { "name": "result", "schema": schema(result, generator) },
        "errors": common.chain(own).collect::<Vec<_>>(),
    })
}

fn parameter(parameter: Parameter, generator: &mut SchemaGenerator) -> Value {
    let Parameter { name, is_required, shape } = parameter;
    json!({ "name": name, "required": is_required, "schema": schema(shape, generator) })
}

fn schema(shape: Shape, generator: &mut SchemaGenerator) -> Value {
    match shape {
        Shape::Json(schema) => schema,
        Shape::Derived(derive) => derive(generator).to_value(),
    }
}

/// What any method may refuse with (docs/rpc.md#errors).
fn errors() -> Map<String, Value> {
    let errors = [
        ("reverted", 3, "The call reverted; data holds the revert data."),
        (
            "refused",
            -32000,
            "The pool, the execution or the store's history refuses the request; or there is no such block.",
        ),
        ("notFound", -32001, "peg_*: no such block, no certificate for it yet, or no such snapshot any more."),
        ("limit", -32005, "A limit; the message says which."),
        (
            "noSuchMethod",
            -32601,
            "No such method; a subscription without a WebSocket; a signature by a node without keys.",
        ),
        ("invalidParameters", -32602, "A parameter is missing or wrong; the message names it."),
        ("internal", -32603, "The node cannot read its store."),
    ];
    let errors =
        errors.into_iter().map(|(name, code, message)| (name.to_owned(), json!({ "code": code, "message": message })));
    errors.collect()
}
