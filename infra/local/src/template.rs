//! What the SAM template says of tables and routes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml_ng::Value;

/// The template that is deployed.
const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The template is not what this reader expects.
#[derive(Debug, thiserror::Error)]
#[error("template.yaml: {0}")]
pub struct TemplateError(String);

/// A table, as the template declares it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its logical id, which is also its name in the local stack.
    pub id: String,
    pub keys: Vec<(String, KeyKind)>,
    pub indexes: Vec<Index>,
    pub ttl_attribute: Option<String>,
    /// What a record of its stream shows, if it has a stream.
    pub stream_view: Option<String>,
}

/// A global secondary index of a table; it holds keys alone.
#[derive(Clone, Debug)]
pub struct Index {
    pub name: String,
    pub keys: Vec<(String, KeyKind)>,
}

/// The part that an attribute has in a key. All keys are strings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    Hash,
    Range,
}

/// A route of the HTTP API and the function behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    pub function: String,
    /// `$default`, an exact path, or a path that ends in `/{proxy+}`.
    pub path: String,
}

/// Tables, routes, and which variables name which table.
#[derive(Debug)]
pub struct Template {
    pub tables: Vec<Table>,
    pub routes: Vec<Route>,
    /// The variables whose value is the name of a table, by variable, with the table's logical id.
    pub table_variables: BTreeMap<String, String>,
    /// Every variable that a function is given.
    pub variables: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    globals: Globals,
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Globals {
    function: FunctionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    r#type: String,
    properties: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    #[serde(default)]
    environment: EnvironmentProperties,
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct EnvironmentProperties {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    r#type: String,
    properties: Option<EventProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventProperties {
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    key_schema: Vec<KeyProperties>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexProperties>,
    time_to_live_specification: Option<TtlProperties>,
    stream_specification: Option<StreamProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyProperties {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TtlProperties {
    attribute_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamProperties {
    stream_view_type: String,
}

impl Template {
    /// The template that this program was built with.
    pub fn embedded() -> Result<Self, TemplateError> {
        Self::parse(TEMPLATE)
    }

    fn parse(text: &str) -> Result<Self, TemplateError> {
        let document: Document =
            serde_yaml_ng::from_str(text).map_err(|e| TemplateError(e.to_string()))?;
        let mut template = Self {
            tables: vec![],
            routes: vec![],
            table_variables: BTreeMap::new(),
            variables: vec![],
        };
        let mut variables = document.globals.function.environment.variables;
        for (id, resource) in document.resources {
            let properties = resource.properties.unwrap_or_default();
            let read = |error: serde_yaml_ng::Error| TemplateError(format!("{id}: {error}"));
            match resource.r#type.as_str() {
                "AWS::DynamoDB::Table" => {
                    let table = serde_yaml_ng::from_value(properties).map_err(read)?;
                    template.tables.push(Table::from_properties(id, table));
                }
                "AWS::Serverless::Function" => {
                    let function: FunctionProperties =
                        serde_yaml_ng::from_value(properties).map_err(read)?;
                    template.routes.extend(routes_of(&id, function.events));
                    variables.extend(function.environment.variables);
                }
                _ => {}
            }
        }
        let is_table = |id: &str| template.tables.iter().any(|table| table.id == id);
        template.table_variables = variables
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), reference(value)?)))
            .filter(|(_, id)| is_table(id))
            .collect();
        template.variables = variables.into_keys().collect();
        Ok(template)
    }
}

impl Table {
    fn from_properties(id: String, properties: TableProperties) -> Self {
        let indexes = properties.global_secondary_indexes.into_iter();
        Self {
            id,
            keys: keys_of(properties.key_schema),
            indexes: indexes
                .map(|index| Index {
                    name: index.index_name,
                    keys: keys_of(index.key_schema),
                })
                .collect(),
            ttl_attribute: properties
                .time_to_live_specification
                .map(|ttl| ttl.attribute_name),
            stream_view: properties
                .stream_specification
                .map(|stream| stream.stream_view_type),
        }
    }
}

fn keys_of(schema: Vec<KeyProperties>) -> Vec<(String, KeyKind)> {
    let kind = |key_type: &str| match key_type {
        "HASH" => KeyKind::Hash,
        _ => KeyKind::Range,
    };
    schema
        .into_iter()
        .map(|key| (key.attribute_name, kind(&key.key_type)))
        .collect()
}

fn routes_of(function: &str, events: BTreeMap<String, Event>) -> Vec<Route> {
    let http = events
        .into_values()
        .filter(|event| event.r#type == "HttpApi");
    http.map(|event| Route {
        function: function.to_owned(),
        path: event
            .properties
            .and_then(|p| p.path)
            .unwrap_or_else(|| "$default".to_owned()),
    })
    .collect()
}

/// The logical id in a `!Ref`.
fn reference(value: &Value) -> Option<String> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Ref" => tagged.value.as_str().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_the_tables_and_every_prefix_of_every_function() {
        let template = Template::embedded().unwrap();

        let tables: Vec<&str> = template
            .tables
            .iter()
            .map(|table| table.id.as_str())
            .collect();
        let route = |function: &str, path: &str| Route {
            function: function.into(),
            path: path.into(),
        };
        assert_eq!(
            tables,
            [
                "AdmissionTable",
                "CredentialsTable",
                "IdentityTable",
                "UsageTable"
            ]
        );
        for table in &template.tables {
            let keys = [("pk".into(), KeyKind::Hash), ("sk".into(), KeyKind::Range)];
            assert_eq!(table.keys, keys, "{}", table.id);
            assert_eq!(table.ttl_attribute.as_deref(), Some("ttl"), "{}", table.id);
        }
        for (variable, table) in [
            ("TURNPIKE_ADMISSION_TABLE", "AdmissionTable"),
            ("TURNPIKE_CREDENTIALS_TABLE", "CredentialsTable"),
            ("TURNPIKE_IDENTITY_TABLE", "IdentityTable"),
            ("TURNPIKE_USAGE_TABLE", "UsageTable"),
        ] {
            assert_eq!(template.table_variables[variable], table);
        }
        for expected in [
            route("AuthFunction", "/api/v1/auth"),
            route("AuthFunction", "/api/v1/auth/{proxy+}"),
            route("AuthFunction", "/.well-known/{proxy+}"),
            route("UsersFunction", "/api/v1/users"),
            route("UsersFunction", "/api/v1/users/{proxy+}"),
            route("UsersFunction", "/api/v1/keys/{proxy+}"),
            route("UsersFunction", "/api/v1/limits/{proxy+}"),
            route("SystemFunction", "$default"),
        ] {
            assert!(template.routes.contains(&expected), "{expected:?}");
        }
    }
}
