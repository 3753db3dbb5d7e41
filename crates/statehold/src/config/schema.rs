//! The configuration file as JSON Schema (draft 2020-12).

use serde_json::{Map, Value as Json, json};

use super::key::{Default, Form, Key, Names};
use super::keys::{KEYS, names};

/// The schema of the file, made from the table of keys.
pub fn schema() -> Json {
    let mut root = object();
    for key in KEYS {
        let mut segments: Vec<String> = key.segments().map(str::to_owned).collect();
        insert(&mut root, &segments, &leaf(key));
        if key.secret {
            if let Some(last) = segments.last_mut() {
                last.push_str("_file");
            }
            let doc = format!("File that holds `{}`, mode at most 0640.", key.path);
            insert(&mut root, &segments, &json!({ "type": "string", "description": doc }));
        }
    }
    root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".to_owned(), "statehold.toml".into());
    Json::Object(root)
}

fn object() -> Map<String, Json> {
    let mut object = Map::new();
    object.insert("type".to_owned(), "object".into());
    object.insert("additionalProperties".to_owned(), false.into());
    object
}

fn child<'a>(parent: &'a mut Map<String, Json>, below: &str, name: &str) -> &'a mut Json {
    let properties = parent.entry(below).or_insert_with(|| Json::Object(Map::new()));
    let Json::Object(properties) = properties else { unreachable!("only objects are put below {below}") };
    properties.entry(name).or_insert_with(|| Json::Object(object()))
}

fn insert(parent: &mut Map<String, Json>, segments: &[String], leaf: &Json) {
    let Some((segment, rest)) = segments.split_first() else { return };
    let slots: Vec<(&str, String)> = if segment.starts_with('<') {
        match names(segment) {
            Names::Closed(closed) => closed.iter().map(|name| ("properties", (*name).to_owned())).collect(),
            Names::Open { bytes_max, .. } => {
                vec![("patternProperties", format!("^[a-z0-9][a-z0-9_-]{{0,{}}}$", bytes_max - 1))]
            }
        }
    } else {
        vec![("properties", segment.clone())]
    };
    for (below, name) in slots {
        let slot = child(parent, below, &name);
        if rest.is_empty() {
            *slot = leaf.clone();
        } else if let Json::Object(object) = slot {
            insert(object, rest, leaf);
        }
    }
}

fn leaf(key: &Key) -> Json {
    let mut leaf = form(&key.form);
    if let Json::Object(leaf) = &mut leaf {
        leaf.insert("description".to_owned(), key.doc.into());
        if let Default::Is(text) = key.default {
            let raw = super::value::Raw::Plain(text.to_owned().into());
            if let Ok(value) = key.form.read(&raw) {
                leaf.insert("default".to_owned(), value.to_json());
            }
        }
    }
    leaf
}

fn form(form: &Form) -> Json {
    let list = || json!({ "type": "array", "items": { "type": "string" } });
    match form {
        Form::Switch => json!({ "type": "boolean" }),
        Form::Choice(words) => json!({ "type": "string", "enum": words }),
        Form::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Rate { max } => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": max }),
        Form::Ratio => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Form::Size { min, max } => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": r"^\s*[0-9_]+\s*([KMG]i?B|B)?\s*$" },
            ]
        }),
        Form::Span { min, max, or_none } => {
            let none = if *or_none { "none|" } else { "" };
            json!({
                "anyOf": [
                    { "type": "integer", "minimum": min.as_secs(), "maximum": max.as_secs() },
                    { "type": "string", "pattern": format!(r"^\s*({none}[0-9_]+|([0-9]+\s*(w|d|h|m|s|ms)\s*)+)\s*$") },
                ]
            })
        }
        Form::Path | Form::EngineName | Form::LogLevel | Form::Endpoint | Form::KeyMaterial => {
            json!({ "type": "string" })
        }
        Form::Addresses { .. } | Form::Networks | Form::Origins | Form::PolicyNames => list(),
    }
}
