//! What the SAM template says of tables, routes and events.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::events::{Filter, parse_rate};

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
    /// How long the function is given for a request.
    pub timeout: Duration,
}

/// A function on the stream of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamMapping {
    /// As it is invoked, such as `usage-rollup`.
    pub function: String,
    pub table: String,
    pub batch_size: usize,
    /// A record is handed over if one of them lets it through, or if there are none.
    pub filters: Vec<Filter>,
}

/// A function that is invoked at a rate.
#[derive(Clone, PartialEq, Debug)]
pub struct Schedule {
    /// As it is invoked, such as `quota-reset`.
    pub function: String,
    pub rate: Duration,
    pub input: serde_json::Value,
}

/// Tables, routes, events, and which variables name which table.
#[derive(Debug)]
pub struct Template {
    pub tables: Vec<Table>,
    pub routes: Vec<Route>,
    pub streams: Vec<StreamMapping>,
    pub schedules: Vec<Schedule>,
    /// How long each function is given for an event, by its name.
    pub timeouts: BTreeMap<String, Duration>,
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
    timeout: Option<u64>,
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

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct EventProperties {
    path: Option<String>,
    stream: Option<Value>,
    batch_size: Option<usize>,
    #[serde(default)]
    filter_criteria: FilterProperties,
    schedule_expression: Option<String>,
    input: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct FilterProperties {
    filters: Vec<PatternProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PatternProperties {
    pattern: String,
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
            streams: vec![],
            schedules: vec![],
            timeouts: BTreeMap::new(),
            table_variables: BTreeMap::new(),
            variables: vec![],
        };
        let usual_timeout = document.globals.function.timeout.unwrap_or(3);
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
                    let timeout = function.timeout.unwrap_or(usual_timeout);
                    let timeout = Duration::from_secs(timeout);
                    template.timeouts.insert(invoked_name(&id), timeout);
                    for event in function.events.into_values() {
                        template
                            .add_event(&id, timeout, event)
                            .map_err(|problem| TemplateError(format!("{id}: {problem}")))?;
                    }
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

impl Template {
    /// Adds what invokes `function`.
    fn add_event(&mut self, function: &str, timeout: Duration, event: Event) -> Result<(), String> {
        let properties = event.properties.unwrap_or_default();
        match event.r#type.as_str() {
            "HttpApi" => self.routes.push(Route {
                function: function.to_owned(),
                path: properties.path.unwrap_or_else(|| "$default".to_owned()),
                timeout,
            }),
            "DynamoDB" => self.streams.push(properties.stream_mapping(function)?),
            "ScheduleV2" => self.schedules.push(properties.schedule(function)?),
            other => return Err(format!("the local stack knows no event of type {other}")),
        }
        Ok(())
    }
}

impl EventProperties {
    fn stream_mapping(self, function: &str) -> Result<StreamMapping, String> {
        let table = self.stream.as_ref().and_then(table_of_stream);
        let patterns = self.filter_criteria.filters.iter();
        let filters: Result<_, _> = patterns.map(|p| Filter::parse(&p.pattern)).collect();
        Ok(StreamMapping {
            function: invoked_name(function),
            table: table.ok_or("a Stream is a !GetAtt of a table's StreamArn")?,
            // What Lambda does unless it is told otherwise.
            batch_size: self.batch_size.unwrap_or(100),
            filters: filters.map_err(|error: crate::events::UnknownPattern| error.to_string())?,
        })
    }

    fn schedule(self, function: &str) -> Result<Schedule, String> {
        let expression = self.schedule_expression.unwrap_or_default();
        let input = self.input.as_deref().unwrap_or("{}");
        Ok(Schedule {
            function: invoked_name(function),
            rate: parse_rate(&expression).ok_or(format!("{expression:?} is no rate"))?,
            input: serde_json::from_str(input).map_err(|error| format!("Input: {error}"))?,
        })
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

/// The name that a function is invoked with: `usage-rollup` for `UsageRollupFunction`.
fn invoked_name(logical_id: &str) -> String {
    let words = logical_id.strip_suffix("Function").unwrap_or(logical_id);
    let mut name = String::new();
    for letter in words.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The table in a `!GetAtt Table.StreamArn`.
fn table_of_stream(value: &Value) -> Option<String> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "GetAtt" => {
            let table = tagged.value.as_str()?.strip_suffix(".StreamArn")?;
            Some(table.to_owned())
        }
        _ => None,
    }
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
        let route = |function: &str, path: &str| (function.to_owned(), path.to_owned());
        assert_eq!(
            tables,
            [
                "AdmissionTable",
                "AuditTable",
                "CacheTable",
                "CredentialsTable",
                "IdentityTable",
                "UsageTable",
                "WorkTable"
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
            route("HistoryFunction", "/api/v1/analytics/{proxy+}"),
            route("SystemFunction", "$default"),
        ] {
            let leads = |route: &Route| (route.function.clone(), route.path.clone()) == expected;
            assert!(template.routes.iter().any(leads), "{expected:?}");
        }
    }

    #[test]
    fn events_are_read_with_what_the_template_says_of_them() {
        let template = r#"
Globals: {Function: {Timeout: 10}}
Resources:
  ThingsTable: {Type: "AWS::DynamoDB::Table", Properties: {KeySchema: []}}
  ThingRollupFunction:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 60
      Events:
        Things:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt ThingsTable.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 25
            FilterCriteria:
              Filters:
                - Pattern: '{"eventName":["INSERT"]}'
  ThingResetFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Hourly:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 hour), Input: '{"shards":[0]}'}
"#;

        let template = Template::parse(template).unwrap();

        let only_inserts = Filter::parse(r#"{"eventName":["INSERT"]}"#).unwrap();
        let stream = StreamMapping {
            function: "thing-rollup".into(),
            table: "ThingsTable".into(),
            batch_size: 25,
            filters: vec![only_inserts],
        };
        let schedule = Schedule {
            function: "thing-reset".into(),
            rate: Duration::from_hours(1),
            input: serde_json::json!({"shards": [0]}),
        };
        assert_eq!(template.streams, [stream]);
        assert_eq!(template.schedules, [schedule]);
        let seconds = |name: &str| template.timeouts[name].as_secs();
        assert_eq!((seconds("thing-rollup"), seconds("thing-reset")), (60, 10));
        assert!(template.routes.is_empty());
    }
}
