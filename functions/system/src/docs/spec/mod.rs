//! An OpenAPI 3.1 document as its readers meet it: operations in their groups, references
//! followed, schemas as lists of fields.
//!
//! It takes any document and shows what is there; what is missing or malformed is left out. It
//! knows no HTML.

mod example;
mod field;
mod shape;

use serde_json::{Map, Value};

pub(crate) use field::{Constraint, Field, literal};
use shape::Shape;

/// How many references in a row are followed; a document that goes on points at itself.
const MAX_HOPS: usize = 8;

/// The methods in the order in which a path's operations are shown.
const METHODS: [&str; 8] = [
    "get", "post", "put", "patch", "delete", "head", "options", "trace",
];

static NOTHING: Value = Value::Null;

/// An OpenAPI document.
pub(crate) struct Spec {
    document: Value,
    /// The headers that every response has, which need not be told of each.
    headers_of_all: Vec<Field>,
}

/// Operations that share a tag.
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) operations: Vec<Operation<'a>>,
}

/// A method of a path.
pub(crate) struct Operation<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// What names the operation in a fragment: letters, digits, `_` and `-` alone.
    pub(crate) anchor: String,
    pub(crate) summary: &'a str,
    pub(crate) description: &'a str,
    pub(crate) is_deprecated: bool,
    pub(crate) access: Access<'a>,
    pub(crate) parameters: Vec<Parameter<'a>>,
    pub(crate) body: Option<Body<'a>>,
    pub(crate) responses: Vec<Response<'a>>,
    /// The problem codes of the extension `x-problems`.
    pub(crate) problems: Vec<&'a str>,
    tag: &'a str,
}

/// Which credentials an operation takes.
pub(crate) struct Access<'a> {
    /// Whether it answers without one too.
    pub(crate) is_optional: bool,
    /// Any of these will do; each is a set of which all are needed.
    pub(crate) alternatives: Vec<Vec<Requirement<'a>>>,
}

/// A credential, and the scopes that it must have.
pub(crate) struct Requirement<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) scopes: Vec<&'a str>,
}

/// A way to authenticate.
pub(crate) struct Scheme<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) carrier: Carrier<'a>,
}

/// Where a request carries a credential.
pub(crate) enum Carrier<'a> {
    Bearer,
    Basic,
    Header(&'a str),
    Query(&'a str),
    Cookie(&'a str),
    /// Another, by the name of its type.
    Other(&'a str),
}

/// A parameter of an operation.
pub(crate) struct Parameter<'a> {
    /// `path`, `query`, `header` or `cookie`.
    pub(crate) place: &'a str,
    pub(crate) field: Field,
    pub(crate) example: Option<Value>,
}

/// What a request carries.
pub(crate) struct Body<'a> {
    pub(crate) is_required: bool,
    pub(crate) description: &'a str,
    pub(crate) content: Content<'a>,
}

/// One media type of a body, and its form.
pub(crate) struct Content<'a> {
    pub(crate) media_type: &'a str,
    /// The type as a whole, such as `object` or `array of string`.
    pub(crate) kind: String,
    pub(crate) fields: Vec<Field>,
    /// Whether fields that are not listed are refused.
    pub(crate) is_closed: bool,
    pub(crate) example: Option<Value>,
}

/// What an operation answers with.
pub(crate) struct Response<'a> {
    /// A status, a class such as `5XX`, or `default`.
    pub(crate) status: &'a str,
    pub(crate) description: &'a str,
    pub(crate) headers: Vec<Field>,
    pub(crate) content: Option<Content<'a>>,
}

impl Response<'_> {
    /// Whether it tells of something other than success.
    pub(crate) fn is_problem(&self) -> bool {
        !self.status.starts_with(['1', '2', '3'])
    }
}

impl Spec {
    pub(crate) fn parse(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json).map(Self::new)
    }

    fn new(document: Value) -> Self {
        let spec = Self {
            document,
            headers_of_all: Vec::new(),
        };
        let headers_of_all = spec.find_headers_of_all();
        Self {
            headers_of_all,
            ..spec
        }
    }

    fn find_headers_of_all(&self) -> Vec<Field> {
        let responses = || self.operations().flat_map(|operation| operation.responses);
        let mut candidates = responses()
            .next()
            .map(|first| first.headers)
            .unwrap_or_default();
        candidates.retain(|header| responses().all(|response| response.headers.contains(header)));
        // What stands in one response alone is that response's own.
        if responses().nth(1).is_some() {
            candidates
        } else {
            Vec::new()
        }
    }

    /// The headers that every response has; those of a single response are without them.
    pub(crate) fn headers_of_all(&self) -> &[Field] {
        &self.headers_of_all
    }

    pub(crate) fn title(&self) -> &str {
        text(&self.document["info"], "title")
    }

    pub(crate) fn version(&self) -> &str {
        text(&self.document["info"], "version")
    }

    pub(crate) fn description(&self) -> &str {
        text(&self.document["info"], "description")
    }

    /// The groups in the order of the document's tags, then those that it does not describe.
    pub(crate) fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = items(&self.document["tags"])
            .map(|tag| Group {
                name: text(tag, "name"),
                description: text(tag, "description"),
                operations: Vec::new(),
            })
            .collect();
        for operation in self.operations() {
            let name = if operation.tag.is_empty() {
                "Other"
            } else {
                operation.tag
            };
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(operation),
                None => groups.push(Group {
                    name,
                    description: "",
                    operations: vec![operation],
                }),
            }
        }
        groups.retain(|group| !group.operations.is_empty());
        groups
    }

    /// Every operation, path by path.
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        members(&self.document["paths"]).flat_map(move |(path, item)| {
            let item = self.resolve(item);
            METHODS.into_iter().filter_map(move |method| {
                let operation = item.get(method)?;
                Some(self.operation(method, path, item, operation))
            })
        })
    }

    pub(crate) fn schemes(&self) -> Vec<Scheme<'_>> {
        members(&self.document["components"]["securitySchemes"])
            .map(|(name, scheme)| {
                let scheme = self.resolve(scheme);
                Scheme {
                    name,
                    description: text(scheme, "description"),
                    carrier: Carrier::of(scheme),
                }
            })
            .collect()
    }

    fn operation<'a>(
        &'a self,
        method: &'static str,
        path: &'a str,
        item: &'a Value,
        operation: &'a Value,
    ) -> Operation<'a> {
        let id = operation["operationId"].as_str().map(str::to_owned);
        let summary = text(operation, "summary");
        Operation {
            method,
            path,
            anchor: anchor(&id.unwrap_or_else(|| format!("{method}{path}"))),
            summary: if summary.is_empty() { path } else { summary },
            description: text(operation, "description"),
            is_deprecated: operation["deprecated"] == true,
            access: self.access(operation),
            parameters: self.parameters(item, operation),
            body: self.body(operation),
            responses: self.responses(operation),
            problems: items(&operation["x-problems"])
                .filter_map(Value::as_str)
                .collect(),
            tag: operation["tags"][0].as_str().unwrap_or_default(),
        }
    }

    /// An operation's own requirements stand in place of the document's.
    fn access<'a>(&'a self, operation: &'a Value) -> Access<'a> {
        let stated = operation
            .get("security")
            .unwrap_or(&self.document["security"]);
        let alternatives: Vec<Vec<Requirement<'a>>> = items(stated)
            .map(|alternative| members(alternative).map(Requirement::of).collect())
            .collect();
        let is_optional = alternatives.is_empty() || alternatives.iter().any(Vec::is_empty);
        let alternatives = alternatives
            .into_iter()
            .filter(|all| !all.is_empty())
            .collect();
        Access {
            is_optional,
            alternatives,
        }
    }

    /// A path's parameters are every operation's, unless one states the same anew.
    fn parameters<'a>(&'a self, item: &'a Value, operation: &'a Value) -> Vec<Parameter<'a>> {
        let identity = |parameter: &'a Value| (text(parameter, "in"), text(parameter, "name"));
        let own: Vec<&Value> = items(&operation["parameters"])
            .map(|parameter| self.resolve(parameter))
            .collect();
        let shared = items(&item["parameters"])
            .map(|parameter| self.resolve(parameter))
            .filter(|shared| own.iter().all(|own| identity(own) != identity(shared)));
        shared
            .chain(own.iter().copied())
            .map(|parameter| Parameter {
                place: text(parameter, "in"),
                field: self.described_field(text(parameter, "name"), parameter),
                example: self.example_of(parameter),
            })
            .collect()
    }

    fn body<'a>(&'a self, operation: &'a Value) -> Option<Body<'a>> {
        let body = self.resolve(operation.get("requestBody")?);
        Some(Body {
            is_required: body["required"] == true,
            description: text(body, "description"),
            content: self.content(body, example::Purpose::Request)?,
        })
    }

    fn responses<'a>(&'a self, operation: &'a Value) -> Vec<Response<'a>> {
        members(&operation["responses"])
            .map(|(status, response)| {
                let response = self.resolve(response);
                let headers = members(&response["headers"]).map(|(name, header)| {
                    // A header that is described is sent, whatever the document says of it.
                    Field {
                        is_required: true,
                        ..self.described_field(name, self.resolve(header))
                    }
                });
                Response {
                    status,
                    description: text(response, "description"),
                    headers: headers
                        .filter(|it| !self.headers_of_all.contains(it))
                        .collect(),
                    content: self.content(response, example::Purpose::Answer),
                }
            })
            .collect()
    }

    /// The JSON form of a body if it has one, else its first.
    fn content<'a>(&'a self, body: &'a Value, purpose: example::Purpose) -> Option<Content<'a>> {
        let is_json = |media_type: &str| media_type.contains("json");
        let (media_type, content) = members(&body["content"])
            .find(|(media_type, _)| is_json(media_type))
            .or_else(|| members(&body["content"]).next())?;
        let shape = Shape::of(self, &content["schema"]);
        let stated = self.stated_example(content);
        Some(Content {
            media_type,
            kind: shape.kind(self),
            fields: field::of_body(self, &shape),
            is_closed: shape.is_closed(),
            example: match stated {
                Some(example) => Some(example.clone()),
                None if is_json(media_type) => example::of(self, &content["schema"], purpose),
                None => None,
            },
        })
    }

    /// A parameter or header: its description stands beside its schema.
    fn described_field(&self, name: &str, described: &Value) -> Field {
        let field = Field::new(
            self,
            name.to_owned(),
            &Shape::of(self, &described["schema"]),
            described["required"] == true,
        );
        match text(described, "description") {
            "" => field,
            description => Field {
                description: description.to_owned(),
                ..field
            },
        }
    }

    fn example_of(&self, parameter: &Value) -> Option<Value> {
        let stated = self.stated_example(parameter).cloned();
        stated.or_else(|| {
            Shape::of(self, &parameter["schema"])
                .stated_example()
                .cloned()
        })
    }

    /// The example that a parameter or a media type states beside its schema.
    fn stated_example<'a>(&'a self, holder: &'a Value) -> Option<&'a Value> {
        let named = members(&holder["examples"]).next();
        let named = named.and_then(|(_, example)| self.resolve(example).get("value"));
        holder.get("example").or(named)
    }

    /// What a value stands for: itself, or where its `$ref` leads.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let mut value = value;
        for _ in 0..MAX_HOPS {
            let Some(target) = value.get("$ref").and_then(Value::as_str) else {
                return value;
            };
            value = self.target(target);
        }
        &NOTHING
    }

    /// Where a reference within the document leads (RFC 6901, section 6).
    fn target(&self, reference: &str) -> &Value {
        reference
            .strip_prefix('#')
            .and_then(|pointer| self.document.pointer(pointer))
            .unwrap_or(&NOTHING)
    }
}

impl<'a> Requirement<'a> {
    fn of((scheme, scopes): (&'a str, &'a Value)) -> Self {
        Self {
            scheme,
            scopes: items(scopes).filter_map(Value::as_str).collect(),
        }
    }
}

impl<'a> Carrier<'a> {
    fn of(scheme: &'a Value) -> Self {
        let name = text(scheme, "name");
        match (
            text(scheme, "type"),
            text(scheme, "scheme"),
            text(scheme, "in"),
        ) {
            ("http", http, _) if http.eq_ignore_ascii_case("bearer") => Self::Bearer,
            ("http", http, _) if http.eq_ignore_ascii_case("basic") => Self::Basic,
            ("apiKey", _, "header") => Self::Header(name),
            ("apiKey", _, "query") => Self::Query(name),
            ("apiKey", _, "cookie") => Self::Cookie(name),
            (other, ..) => Self::Other(other),
        }
    }
}

/// A name that can stand in a fragment without being escaped.
pub(crate) fn anchor(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let plain: String = name
        .chars()
        .map(|character| if is_plain(character) { character } else { '-' })
        .collect();
    plain.trim_matches('-').to_owned()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only_operation(document: Value) -> (Spec, impl Fn(&Spec) -> Operation<'_>) {
        (Spec::new(document), |spec: &Spec| {
            spec.operations().next().unwrap()
        })
    }

    #[test]
    fn groups_follow_the_tags_and_nothing_is_lost() {
        let spec = Spec::new(json!({
            "tags": [{"name": "B", "description": "Bees"}, {"name": "Empty"}, {"name": "A"}],
            "paths": {
                "/a": {"get": {"tags": ["A"]}, "delete": {"tags": ["B"]}},
                "/b": {"post": {}, "put": {"tags": ["New"]}},
            },
        }));

        let groups: Vec<_> = spec
            .groups()
            .iter()
            .map(|group| {
                let methods = group.operations.iter().map(|operation| operation.method);
                (group.name.to_owned(), methods.collect::<Vec<_>>())
            })
            .collect();

        let expected = [
            ("B", ["delete"]),
            ("A", ["get"]),
            ("Other", ["post"]),
            ("New", ["put"]),
        ];
        assert_eq!(
            groups,
            expected.map(|(name, methods)| (name.to_owned(), methods.to_vec()))
        );
    }

    #[test]
    fn references_to_parameters_bodies_and_responses_are_followed() {
        let (spec, operation) = only_operation(json!({
            "paths": {"/things/{id}": {
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "post": {
                    "requestBody": {"$ref": "#/components/requestBodies/Thing"},
                    "responses": {"200": {"$ref": "#/components/responses/Thing"}},
                },
            }},
            "components": {
                "parameters": {"Id": {"in": "path", "name": "id", "required": true,
                    "description": "Which", "schema": {"type": "string"}, "example": "7"}},
                "requestBodies": {"Thing": {"required": true, "content": {"application/json":
                    {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
                "responses": {"Thing": {"description": "It", "content": {"application/json":
                    {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
                "schemas": {"Thing": {"type": "object", "properties": {"name":
                    {"type": "string", "example": "Ada"}}}},
            },
        }));

        let operation = operation(&spec);

        assert_eq!(operation.parameters[0].field.name, "id");
        assert_eq!(operation.parameters[0].field.description, "Which");
        assert_eq!(operation.parameters[0].example, Some(json!("7")));
        let body = operation.body.unwrap();
        assert!(body.is_required);
        assert_eq!(body.content.fields[0].name, "name");
        assert_eq!(body.content.example, Some(json!({"name": "Ada"})));
        assert_eq!(operation.responses[0].description, "It");
        assert_eq!(
            operation.responses[0].content.as_ref().unwrap().fields[0].name,
            "name"
        );
    }

    #[test]
    fn an_operation_states_its_access_in_place_of_the_document() {
        let spec = Spec::new(json!({
            "security": [{"token": []}],
            "paths": {
                "/1": {"get": {}},
                "/2": {"get": {"security": []}},
                "/3": {"get": {"security": [{}, {"key": ["a:read"]}]}},
            },
        }));

        let access: Vec<_> = spec
            .operations()
            .map(|operation| {
                let alternatives = operation.access.alternatives.iter().flatten();
                let names = alternatives.map(|all| (all.scheme.to_owned(), all.scopes.len()));
                (operation.access.is_optional, names.collect::<Vec<_>>())
            })
            .collect();

        let expected = [
            (false, vec![("token".to_owned(), 0)]),
            (true, vec![]),
            (true, vec![("key".to_owned(), 1)]),
        ];
        assert_eq!(access, expected);
    }

    #[test]
    fn a_header_of_every_response_is_told_once() {
        let id = json!({"description": "The id", "schema": {"type": "string"}});
        let spec = Spec::new(json!({"paths": {"/": {
            "get": {"responses": {
                "200": {"headers": {"Id": id, "ETag": {}}},
                "404": {"headers": {"Id": id}},
            }},
            "put": {"responses": {"204": {"headers": {"Id": id}}}},
        }}}));

        let told: Vec<Vec<String>> = spec
            .operations()
            .flat_map(|operation| operation.responses)
            .map(|response| {
                response
                    .headers
                    .into_iter()
                    .map(|header| header.name)
                    .collect()
            })
            .collect();

        assert_eq!(spec.headers_of_all().len(), 1);
        assert_eq!(spec.headers_of_all()[0].name, "Id");
        assert_eq!(told, [vec!["ETag".to_owned()], vec![], vec![]]);
    }

    #[test]
    fn an_anchor_needs_no_escaping() {
        for (name, expected) in [
            ("get_health", "get_health"),
            ("get/users/{id}", "get-users--id"),
            ("\"><script>", "script"),
        ] {
            assert_eq!(anchor(name), expected);
        }
    }

    #[test]
    fn references_that_lead_nowhere_or_in_a_circle_are_left_out() {
        let (spec, operation) = only_operation(json!({
            "paths": {"/": {"get": {
                "parameters": [{"$ref": "#/missing"}, {"$ref": "other.json#/x"}],
                "requestBody": {"$ref": "#/a"},
                "responses": {"200": {"$ref": "#/a"}},
            }}},
            "a": {"$ref": "#/b"},
            "b": {"$ref": "#/a"},
        }));

        let operation = operation(&spec);

        assert!(operation.body.is_none());
        assert_eq!(operation.responses[0].description, "");
        assert!(
            operation
                .parameters
                .iter()
                .all(|parameter| parameter.field.name.is_empty())
        );
    }

    #[test]
    fn whatever_stands_in_a_document_it_is_read() {
        for document in [
            json!(null),
            json!([]),
            json!({"paths": [1], "tags": {"name": 1}}),
            json!({"paths": {"/": {"get": 1, "post": {"parameters": {"a": 1}, "responses": [2]}}}}),
            json!({"paths": {"/": {"get": {"requestBody": {"content": {"a": {"schema": 7}}}}}}}),
            json!({"components": {"securitySchemes": {"a": 1}}, "paths": null}),
        ] {
            let spec = Spec::new(document.clone());
            spec.groups();
            spec.schemes();
        }
    }
}
