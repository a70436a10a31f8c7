//! The tables of a template, as DynamoDB's `CreateTable` takes them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::TemplateError;
use super::model::Table;
use super::reader::Reader;
use super::supported::{INDEX, INDEX_AWS_ONLY, TABLE, TABLE_AWS_ONLY, TABLE_TOO, known};
use crate::value::boolean;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    #[serde(deserialize_with = "boolean")]
    enabled: bool,
}

pub fn read(reader: &Reader<'_>, id: &str) -> Result<Table, TemplateError> {
    let at = format!("Resources.{id}.Properties");
    let properties = reader.scope.properties(id);
    known(properties, &at, &[TABLE, TABLE_TOO].concat(), TABLE_AWS_ONLY)?;
    let name = reader.scope.reference(id, &at)?;
    let mut create = Map::from_iter([("TableName".to_owned(), Value::from(name.clone()))]);
    for key in TABLE {
        if let Some(value) = reader.property(properties, key, &at)? {
            create.insert((*key).to_owned(), value);
        }
    }
    let indexes = create.get_mut("GlobalSecondaryIndexes").and_then(Value::as_array_mut);
    for (number, index) in indexes.into_iter().flatten().enumerate() {
        known(index, &format!("{at}.GlobalSecondaryIndexes[{number}]"), INDEX, INDEX_AWS_ONLY)?;
        for key in INDEX_AWS_ONLY {
            index.as_object_mut().map(|index| index.remove(*key));
        }
    }
    let stream: Option<Map<String, Value>> = reader.property(properties, "StreamSpecification", &at)?;
    if let Some(mut stream) = stream {
        // CloudFormation leaves out what `CreateTable` insists on.
        stream.insert("StreamEnabled".to_owned(), true.into());
        create.insert("StreamSpecification".to_owned(), stream.into());
    }
    let expires: Option<TimeToLive> = reader.property(properties, "TimeToLiveSpecification", &at)?;
    Ok(Table {
        name,
        create: create.into(),
        expires: expires.filter(|expires| expires.enabled).map(|expires| expires.attribute_name),
    })
}
