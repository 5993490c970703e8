//! The API's document, made of the types that it sends. `dashboard/openapi.json` has to be what this gives.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::feed::{Missed, Told};
use super::server::{OPENAPI, Problem};
use super::state::State;
use super::{Change, Limit, Line, Money, Step};

/// When this is set, the committed document is written anew.
const WRITE: &str = "WRITE_OPENAPI";

/// Some events in a row, as `server.rs` puts them together from their lines.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "its shape is what counts")]
struct Page {
    /// What should have come before them and is no longer kept.
    missed: Option<Missed>,
    /// The events.
    events: Vec<Told>,
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let state = get::<State>(
        &mut schemas,
        "How the nodes are",
        "Everything that the page begins with. It follows the stream after `last`.",
        &[],
        &[],
    );
    let events = get::<Page>(
        &mut schemas,
        "Events",
        "The events after one, the oldest first. What is no longer kept is said to be missed.",
        &[
            query("after", "the number of the last event that is known"),
            query("limit", "at most so many; 1000 are the most"),
        ],
        &[400, 503],
    );
    let money = get::<Money>(
        &mut schemas,
        "What the chain knows",
        "Read from the chain when it is asked for, at most once a second.",
        &[],
        &[],
    );
    let round = get::<Vec<Step>>(
        &mut schemas,
        "A round, step by step",
        "Worked out again from the node's event log, to the bit.",
        &[path("node", "a node's name", &json!({"type": "string"})), path("round", "the round", &number())],
        &[400, 404, 503],
    );
    let node = || path("node", "a node's name", &json!({"type": "string"}));
    let limits = get::<Vec<Limit>>(
        &mut schemas,
        "The owner's limits",
        "What of the machine the node may have, and when.",
        &[node()],
        &[400, 404, 503],
    );
    let mut change = get::<Vec<Limit>>(
        &mut schemas,
        "The limits as they are now",
        "Changes one of them. A node that runs heeds it within a second or two.",
        &[node()],
        &[400, 404, 413, 415, 503],
    );
    let body = schemas.subschema_for::<Change>().to_value();
    change["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": body}}});
    let log = get::<Vec<Line>>(
        &mut schemas,
        "The log's last lines",
        "What the node has written into `node.log`, the oldest first.",
        &[node()],
        &[404, 503],
    );
    let mut stream = get::<Told>(
        &mut schemas,
        "Events as they come",
        "Server-sent events: each has its number as its id and a `Told` as its data. Who comes back says the last id in the header `last-event-id`, or as \
         `after`, and is sent all since. An event named `missed` has a `Missed` as its data: these are no longer kept, and the state has to be read again. \
         It is sent as well if `feed` is not the state's.",
        &[query("after", "the number of the last event that is known"), query("feed", "the state's `feed`")],
        &[400],
    );
    let content = stream["responses"]["200"]["content"].take();
    let schema = content["application/json"]["schema"].clone();
    stream["responses"]["200"]["content"] =
        json!({"text/event-stream": {"schema": {"type": "string"}, "x-data": schema}});
    schemas.subschema_for::<Missed>();
    schemas.subschema_for::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Starling",
            "version": "1",
            "description": "What the dashboard knows of nodes. Answers to this machine itself; elsewhere the token is needed that `starling` printed.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/api/v1/state": {"get": state},
            "/api/v1/events": {"get": events},
            "/api/v1/stream": {"get": stream},
            "/api/v1/money": {"get": money},
            "/api/v1/nodes/{node}/rounds/{round}": {"get": round},
            "/api/v1/nodes/{node}/limits": {"get": limits, "post": change},
            "/api/v1/nodes/{node}/log": {"get": log},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": Value::Object(schemas.take_definitions(true)),
        },
    })
}

/// A question without a body, and its answers.
fn get<T: JsonSchema>(
    schemas: &mut SchemaGenerator,
    summary: &str,
    description: &str,
    parameters: &[Value],
    problems: &[u16],
) -> Value {
    let answer = |description: &str, schema: &Value| json!({"description": description, "content": {"application/json": {"schema": schema}}});
    let schema = schemas.subschema_for::<T>().to_value();
    let problem = schemas.subschema_for::<Problem>().to_value();
    let mut responses = json!({
        "200": answer(summary, &schema),
        "401": answer("The token is missing or wrong.", &problem),
        "403": answer("Asked by a name of this machine that could be anyone's, or by another site.", &problem),
    });
    for status in problems {
        let why = match status {
            400 => "Something of the question makes no sense.",
            413 => "It is too long.",
            415 => "It is sent as something else.",
            404 => "There is none.",
            _ => "It cannot be read now.",
        };
        responses[status.to_string()] = answer(why, &problem);
    }
    json!({"summary": summary, "description": description, "parameters": parameters, "responses": responses})
}

fn number() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX})
}

fn query(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": number()})
}

fn path(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
}

#[test]
fn the_committed_document_is_what_the_types_give() {
    let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os(WRITE).is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dashboard/openapi.json");
        std::fs::write(file, text).unwrap();
        return;
    }
    // Compared as what it says: the order of keys follows from how other crates want their JSON.
    assert!(
        document() == serde_json::from_str::<Value>(OPENAPI).unwrap(),
        "the API has changed: `cargo xtask dashboard` writes its document and the page anew"
    );
}
