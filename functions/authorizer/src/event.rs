//! What API Gateway tells of a request: in format 2.0 (HTTP APIs), or in format 1.0 (REST APIs, and
//! HTTP APIs that ask for it). Of each, what is read here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use turnpike_shared::web::PeerIp;

/// What stands for a header's value that is no value of a header.
const NO_VALUE: HeaderValue = HeaderValue::from_static("");
/// The methods that are recorded by name; a client may write any other.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
const ANY_METHOD: &str = "ANY";

/// A request that is to be let in or not (API Gateway Developer Guide, "Input to an API Gateway
/// Lambda authorizer" and "Control access to HTTP APIs with AWS Lambda authorizers").
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct RequestEvent {
    /// Of an authorizer of kind TOKEN there is nothing to expect: it is handed no request.
    #[serde(rename = "type")]
    _kind: Kind,
    #[serde(default)]
    route_arn: Option<String>,
    #[serde(default)]
    method_arn: Option<String>,
    #[serde(default)]
    route_key: Option<String>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Option<Vec<String>>>>,
    request_context: RequestContext,
}

#[derive(Deserialize, Debug)]
enum Kind {
    #[serde(rename = "REQUEST")]
    Request,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    #[serde(default)]
    http: Option<Source>,
    #[serde(default)]
    identity: Option<Source>,
    #[serde(default)]
    http_method: Option<String>,
    #[serde(default)]
    resource_path: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Source {
    #[serde(default)]
    source_ip: Option<String>,
}

impl RequestEvent {
    /// What an IAM policy must name to be about this request.
    pub(crate) fn arn(&self) -> Option<&str> {
        self.route_arn.as_deref().or(self.method_arn.as_deref())
    }

    /// The headers, each as often as it was sent. Format 2.0 joins what was sent more than once by
    /// commas, which are part of no credential.
    pub(crate) fn headers(&self) -> HeaderMap {
        let all = self.multi_value_headers.iter().flatten();
        let all = all.flat_map(|(name, values)| {
            let values = values.iter().flatten();
            values.map(move |value| (name, value))
        });
        let mut headers = collected(all);
        if headers.is_empty() {
            let one_each = self.headers.iter().flatten();
            headers = collected(one_each.filter_map(|(name, value)| Some((name, value.as_ref()?))));
        }
        headers
    }

    /// Where the request came from, as API Gateway saw it; never a header that the client wrote.
    pub(crate) fn peer(&self) -> IpAddr {
        let context = &self.request_context;
        let source = context.http.as_ref().or(context.identity.as_ref());
        let peer = source.and_then(|source| PeerIp::parse(source.source_ip.as_deref()?));
        peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |PeerIp(ip)| ip)
    }

    /// The method and the path of the route that was asked for, as the owner's API declares them:
    /// never the path that the client wrote, of which there is no end.
    pub(crate) fn route(&self) -> (&str, &str) {
        let context = &self.request_context;
        if let Some(key) = self.route_key.as_deref() {
            return key.split_once(' ').unwrap_or((ANY_METHOD, key));
        }
        let method = context.http_method.as_deref();
        let method = method.filter(|method| METHODS.contains(method));
        let path = context.resource_path.as_deref();
        (method.unwrap_or(ANY_METHOD), path.unwrap_or("$default"))
    }
}

fn collected<'a>(named: impl Iterator<Item = (&'a String, &'a String)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        if let Ok(name) = HeaderName::try_from(name) {
            headers.append(name, HeaderValue::try_from(value).unwrap_or(NO_VALUE));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(parts: &Value) -> RequestEvent {
        let mut event = json!({"type": "REQUEST", "requestContext": {}});
        for (name, value) in parts.as_object().unwrap() {
            event[name] = value.clone();
        }
        serde_json::from_value(event).unwrap()
    }

    fn values(parts: &Value, name: &str) -> Vec<String> {
        let headers = event(parts).headers();
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap_or("?").to_owned())
            .collect()
    }

    #[test]
    fn a_header_is_found_however_its_name_is_written_and_as_often_as_it_was_sent() {
        let cases = [
            (json!({}), vec![]),
            (json!({"headers": null, "multiValueHeaders": null}), vec![]),
            (json!({"headers": {"x-api-key": "a"}}), vec!["a"]),
            (json!({"headers": {"X-API-Key": "a"}}), vec!["a"]),
            (
                json!({"headers": {"X-API-Key": "a", "x-api-key": "b"}}),
                vec!["a", "b"],
            ),
            (json!({"headers": {"x-api-key": null}}), vec![]),
            (json!({"headers": {"x-api-key": "a\nb"}}), vec![""]),
            (json!({"headers": {"": "a", "x api key": "b"}}), vec![]),
            (
                json!({"headers": {"x-api-key": "b"}, "multiValueHeaders": {"x-api-key": ["a", "b"]}}),
                vec!["a", "b"],
            ),
            (
                json!({"headers": {"x-api-key": "a"}, "multiValueHeaders": {}}),
                vec!["a"],
            ),
        ];

        for (parts, expected) in cases {
            assert_eq!(values(&parts, "x-api-key"), expected, "{parts}");
        }
    }

    #[test]
    fn the_peer_is_who_api_gateway_says_and_nobody_if_it_does_not() {
        let cases = [
            (json!({"http": {"sourceIp": "203.0.113.7"}}), "203.0.113.7"),
            (
                json!({"identity": {"sourceIp": "203.0.113.7"}}),
                "203.0.113.7",
            ),
            (json!({"http": {"sourceIp": "2001:db8::7"}}), "2001:db8::7"),
            (
                json!({"http": {"sourceIp": "203.0.113.7/32"}}),
                "203.0.113.7",
            ),
            (json!({"http": {"sourceIp": "..."}}), "0.0.0.0"),
            (json!({"http": {}}), "0.0.0.0"),
            (json!({}), "0.0.0.0"),
        ];

        for (context, expected) in cases {
            let spoofed = json!({"x-forwarded-for": "198.51.100.1"});
            let event = event(&json!({"requestContext": context, "headers": spoofed}));
            assert_eq!(event.peer().to_string(), expected, "{context}");
        }
    }

    #[test]
    fn a_route_is_named_as_the_api_declares_it() {
        let rest = |method: &str| json!({"requestContext": {"httpMethod": method, "resourcePath": "/orders/{id}"}});
        let cases = [
            (
                json!({"routeKey": "GET /orders/{id}", "rawPath": "/orders/7"}),
                ("GET", "/orders/{id}"),
            ),
            (
                json!({"routeKey": "$default", "rawPath": "/orders/7"}),
                ("ANY", "$default"),
            ),
            (rest("GET"), ("GET", "/orders/{id}")),
            (rest("GIMME"), ("ANY", "/orders/{id}")),
            (json!({"path": "/orders/7"}), ("ANY", "$default")),
        ];

        for (parts, expected) in cases {
            assert_eq!(event(&parts).route(), expected, "{parts}");
        }
    }

    #[test]
    fn what_is_no_request_is_no_event() {
        for other in [
            json!({}),
            json!({"type": "TOKEN", "authorizationToken": "Bearer x", "methodArn": "arn"}),
            json!({"type": "REQUEST"}),
            json!({"type": "REQUEST", "requestContext": {}, "headers": "x"}),
        ] {
            assert!(
                serde_json::from_value::<RequestEvent>(other.clone()).is_err(),
                "{other}"
            );
        }
    }
}
