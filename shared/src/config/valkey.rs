//! Which Valkey a function uses, if any: a server by its address, or a serverless cache of
//! ElastiCache by its name.

use std::net::Ipv6Addr;

use http::Uri;
use secrecy::SecretString;

use super::{ConfigError, Environment, Stage, Variable, variables};

/// The port of a Valkey whose address names none.
const DEFAULT_PORT: u16 = 6379;
/// ElastiCache takes no longer names of caches and users.
const MAX_NAME_CHARS: usize = 40;

/// The Valkey that a function uses.
#[derive(Clone, Debug)]
pub enum ValkeyConfig {
    /// A server at a known address.
    Server(ValkeyServer),
    /// A serverless cache of ElastiCache: its address is looked up, it is a cluster, it speaks
    /// TLS, and one signs in to it with IAM.
    Serverless(ServerlessCache),
}

/// A Valkey at a known address.
#[derive(Clone, Debug)]
pub struct ValkeyServer {
    /// A name or an address, an IPv6 one without its brackets.
    pub host: String,
    pub port: u16,
    pub transport: Transport,
    pub topology: Topology,
    pub login: Option<Login>,
}

/// How bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Plain,
    Tls,
}

/// Whether keys are spread over several servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    Single,
    Cluster,
}

/// A password, and whose it is if not the default user's.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: Option<String>,
    pub password: SecretString,
}

/// A serverless cache of ElastiCache and the user that a function signs in as, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerlessCache {
    pub name: String,
    pub user: String,
}

impl ValkeyConfig {
    /// The Valkey that the environment names; `None` where it names none.
    pub fn read(env: &Environment, stage: Stage) -> Result<Option<Self>, ConfigError> {
        let (url, cache) = (&variables::VALKEY_URL, &variables::VALKEY_CACHE);
        match (env.get(url), env.get(cache)) {
            (Some(_), Some(_)) => Err(url.error(format!("{} is set too", cache.name))),
            (Some(address), None) => {
                only_with(env, &variables::VALKEY_USER, cache)?;
                server(env, address, stage).map(|server| Some(Self::Server(server)))
            }
            (None, Some(name)) => {
                only_with(env, &variables::VALKEY_CLUSTER, url)?;
                let cache = ServerlessCache {
                    name: elasticache_name(cache, name)?,
                    user: elasticache_name(
                        &variables::VALKEY_USER,
                        env.required(&variables::VALKEY_USER)?,
                    )?,
                };
                Ok(Some(Self::Serverless(cache)))
            }
            (None, None) => {
                only_with(env, &variables::VALKEY_USER, cache)?;
                only_with(env, &variables::VALKEY_CLUSTER, url)?;
                Ok(None)
            }
        }
    }
}

/// Refuses a variable that would have no effect, because `other` is not what chooses the Valkey.
fn only_with(env: &Environment, variable: &Variable, other: &Variable) -> Result<(), ConfigError> {
    match env.get(variable) {
        None => Ok(()),
        Some(_) => Err(variable.error(format!("it is set although {} does not apply", other.name))),
    }
}

fn elasticache_name(variable: &Variable, text: &str) -> Result<String, ConfigError> {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= MAX_NAME_CHARS
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_name {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(variable.error(format!("it is {text:?}")))
    }
}

fn server(env: &Environment, address: &str, stage: Stage) -> Result<ValkeyServer, ConfigError> {
    // The address is never repeated in what is wrong with it: there may be a password inside.
    let wrong = |problem: &str| variables::VALKEY_URL.error(problem);
    let topology = match env.get(&variables::VALKEY_CLUSTER).unwrap_or("false") {
        "true" => Topology::Cluster,
        "false" => Topology::Single,
        other => return Err(variables::VALKEY_CLUSTER.error(format!("it is {other:?}"))),
    };
    let uri: Uri = address.parse().map_err(|_| wrong("it is not an address"))?;
    let transport = match uri.scheme_str() {
        Some("rediss") => Transport::Tls,
        Some("redis") if stage.is_deployed() => {
            return Err(wrong(&format!("{stage} takes no Valkey without TLS")));
        }
        Some("redis") => Transport::Plain,
        _ => return Err(wrong("its scheme is neither redis nor rediss")),
    };
    let has_more = !matches!(uri.path(), "" | "/") || address.contains(['?', '#']);
    if has_more {
        return Err(wrong("it has more than a host and a port"));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let (userinfo, host_and_port) = match authority.and_then(|text| text.rsplit_once('@')) {
        Some((userinfo, host_and_port)) => (Some(userinfo), Some(host_and_port)),
        None => (None, authority),
    };
    if userinfo.is_some() && stage.is_deployed() {
        return Err(wrong(&format!("{stage} takes no password from a variable")));
    }
    let login = userinfo
        .map(|userinfo| login(userinfo).ok_or_else(|| wrong("its password cannot be read")))
        .transpose()?;
    let port = match uri.port() {
        // A colon with nothing behind it, or with more than a port can be.
        None if host_and_port != uri.host() => None,
        None => Some(DEFAULT_PORT),
        Some(port) => Some(port.as_u16()).filter(|port| *port != 0),
    };
    Ok(ValkeyServer {
        host: uri
            .host()
            .and_then(host)
            .ok_or_else(|| wrong("it has no host"))?,
        port: port.ok_or_else(|| wrong("its port is not one"))?,
        transport,
        topology,
        login,
    })
}

/// The host itself, an IPv6 address without its brackets.
fn host(text: &str) -> Option<String> {
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(|ip| ip.to_string()),
        None => Some(text.to_owned()).filter(|host| !host.is_empty()),
    }
}

/// `user:password` or `:password`, percent-encoded where it has to be (RFC 3986, section 3.2.1).
fn login(userinfo: &str) -> Option<Login> {
    let (user, password) = userinfo.split_once(':')?;
    let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
    let user = Some(user).filter(|user| !user.is_empty());
    (!password.is_empty()).then(|| Login {
        user,
        password: password.into(),
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        let is_hex = code.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(code, 16).ok().filter(|_| is_hex)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const EVERY_STAGE: [Stage; 4] = [
        Stage::Development,
        Stage::Testing,
        Stage::Staging,
        Stage::Production,
    ];

    fn at(url: &str) -> Environment {
        Environment::default().with("TURNPIKE_VALKEY_URL", url)
    }

    fn serverless() -> Environment {
        Environment::default()
            .with("TURNPIKE_VALKEY_CACHE", "turnpike-dev")
            .with("TURNPIKE_VALKEY_USER", "turnpike-dev-functions")
    }

    fn server_at(env: &Environment, stage: Stage) -> ValkeyServer {
        match ValkeyConfig::read(env, stage) {
            Ok(Some(ValkeyConfig::Server(server))) => server,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_variables_there_is_no_valkey() {
        for stage in EVERY_STAGE {
            assert!(
                ValkeyConfig::read(&Environment::default(), stage)
                    .unwrap()
                    .is_none()
            );
            assert!(ValkeyConfig::read(&at(""), stage).unwrap().is_none());
        }
    }

    #[test]
    fn an_address_says_where_and_how() {
        let cases = [
            ("redis://localhost", "localhost", 6379, Transport::Plain),
            ("redis://localhost/", "localhost", 6379, Transport::Plain),
            (
                "redis://127.0.0.1:7000",
                "127.0.0.1",
                7000,
                Transport::Plain,
            ),
            (
                "rediss://cache.example.com:6380",
                "cache.example.com",
                6380,
                Transport::Tls,
            ),
            ("redis://[::1]:7000", "::1", 7000, Transport::Plain),
        ];

        for (url, host, port, transport) in cases {
            let server = server_at(&at(url), Stage::Development);
            assert_eq!(
                (server.host.as_str(), server.port, server.transport),
                (host, port, transport),
                "{url}"
            );
            assert_eq!(server.topology, Topology::Single, "{url}");
            assert!(server.login.is_none(), "{url}");
        }
    }

    #[test]
    fn a_cluster_is_one_by_a_variable_of_its_own() {
        let env = at("rediss://cache.example.com");

        for (value, expected) in [("true", Topology::Cluster), ("false", Topology::Single)] {
            let env = env.clone().with("TURNPIKE_VALKEY_CLUSTER", value);
            assert_eq!(server_at(&env, Stage::Production).topology, expected);
        }
    }

    #[test]
    fn outside_of_what_is_deployed_an_address_may_hold_a_password() {
        let cases = [
            ("redis://:secret@localhost", None, "secret"),
            ("redis://ada:secret@localhost:7000", Some("ada"), "secret"),
            (
                "rediss://ada:p%40ss%3Aw%C3%B6rd%25@localhost",
                Some("ada"),
                "p@ss:wörd%",
            ),
            ("redis://:a:b@localhost", None, "a:b"),
        ];

        for (url, user, password) in cases {
            for stage in [Stage::Development, Stage::Testing] {
                let server = server_at(&at(url), stage);
                let login = server.login.unwrap();
                assert_eq!(
                    (login.user.as_deref(), login.password.expose_secret()),
                    (user, password),
                    "{url}"
                );
                assert_eq!(server.host, "localhost", "{url}");
            }
        }
    }

    #[test]
    fn a_serverless_cache_is_found_by_its_name() {
        let env = serverless().with("TURNPIKE_VALKEY_CACHE", "Turnpike-Dev");

        for stage in EVERY_STAGE {
            let found = ValkeyConfig::read(&env, stage).unwrap();
            let Some(ValkeyConfig::Serverless(cache)) = found else {
                panic!("{found:?}");
            };
            assert_eq!(cache.name, "turnpike-dev");
            assert_eq!(cache.user, "turnpike-dev-functions");
        }
    }

    #[test]
    fn what_is_deployed_takes_no_plain_connection_and_no_password_in_an_address() {
        let cases = [
            ("redis://cache.example.com", "TLS"),
            ("rediss://:secret@cache.example.com", "password"),
            ("rediss://ada:secret@cache.example.com", "password"),
            ("rediss://ada@cache.example.com", "password"),
        ];

        for (url, reason) in cases {
            for stage in [Stage::Staging, Stage::Production] {
                let refused = ValkeyConfig::read(&at(url), stage).unwrap_err();
                assert_eq!(refused.variable, "TURNPIKE_VALKEY_URL", "{url}");
                assert!(refused.problem.contains(reason), "{url}: {refused}");
            }
        }
        let plain = server_at(&at("rediss://cache.example.com"), Stage::Production);
        assert_eq!(plain.transport, Transport::Tls);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_variable() {
        let url = at("redis://localhost");
        let cases = [
            (at("localhost:6379"), "TURNPIKE_VALKEY_URL"),
            (at("localhost"), "TURNPIKE_VALKEY_URL"),
            (at("http://localhost"), "TURNPIKE_VALKEY_URL"),
            (at("valkey://localhost"), "TURNPIKE_VALKEY_URL"),
            (at("redis://"), "TURNPIKE_VALKEY_URL"),
            (at("redis://:6379"), "TURNPIKE_VALKEY_URL"),
            (at("redis://localhost:"), "TURNPIKE_VALKEY_URL"),
            (at("redis://localhost:0"), "TURNPIKE_VALKEY_URL"),
            (at("redis://localhost:65536"), "TURNPIKE_VALKEY_URL"),
            (at("redis://:secret@localhost:65536"), "TURNPIKE_VALKEY_URL"),
            (at("redis://localhost/1"), "TURNPIKE_VALKEY_URL"),
            (at("redis://localhost?cluster=true"), "TURNPIKE_VALKEY_URL"),
            (at("redis://localhost/#insecure"), "TURNPIKE_VALKEY_URL"),
            (at("redis://ada@localhost"), "TURNPIKE_VALKEY_URL"),
            (at("redis://ada:@localhost"), "TURNPIKE_VALKEY_URL"),
            (at("redis://:%zz@localhost"), "TURNPIKE_VALKEY_URL"),
            (at("redis://:%+1@localhost"), "TURNPIKE_VALKEY_URL"),
            (at("redis://:%ff@localhost"), "TURNPIKE_VALKEY_URL"),
            (
                serverless().with("TURNPIKE_VALKEY_URL", "redis://localhost"),
                "TURNPIKE_VALKEY_URL",
            ),
            (
                url.clone().with("TURNPIKE_VALKEY_CLUSTER", "yes"),
                "TURNPIKE_VALKEY_CLUSTER",
            ),
            (
                serverless().with("TURNPIKE_VALKEY_CLUSTER", "false"),
                "TURNPIKE_VALKEY_CLUSTER",
            ),
            (
                Environment::default().with("TURNPIKE_VALKEY_CLUSTER", "true"),
                "TURNPIKE_VALKEY_CLUSTER",
            ),
            (
                url.with("TURNPIKE_VALKEY_USER", "functions"),
                "TURNPIKE_VALKEY_USER",
            ),
            (
                Environment::default().with("TURNPIKE_VALKEY_USER", "functions"),
                "TURNPIKE_VALKEY_USER",
            ),
            (
                serverless().with("TURNPIKE_VALKEY_USER", ""),
                "TURNPIKE_VALKEY_USER",
            ),
            (
                serverless().with("TURNPIKE_VALKEY_USER", "a&User=b"),
                "TURNPIKE_VALKEY_USER",
            ),
            (
                serverless().with("TURNPIKE_VALKEY_CACHE", "1cache"),
                "TURNPIKE_VALKEY_CACHE",
            ),
            (
                serverless().with("TURNPIKE_VALKEY_CACHE", "a".repeat(41)),
                "TURNPIKE_VALKEY_CACHE",
            ),
        ];

        for (env, variable) in cases {
            match ValkeyConfig::read(&env, Stage::Development) {
                Err(refused) => assert_eq!(refused.variable, variable, "{refused}"),
                Ok(taken) => panic!("{variable}: {taken:?}"),
            }
        }
    }

    #[test]
    fn a_password_shows_neither_in_a_refusal_nor_in_what_was_read() {
        let cases = [
            ("redis://ada:hunter2@localhost/1", Stage::Development),
            ("redis://ada:hunter2@localhost:0", Stage::Development),
            ("http://ada:hunter2@localhost", Stage::Development),
            ("redis://ada:hunter2 @localhost", Stage::Development),
            ("rediss://ada:hunter2@localhost", Stage::Production),
        ];

        for (url, stage) in cases {
            let refused = ValkeyConfig::read(&at(url), stage).unwrap_err();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
        let read = ValkeyConfig::read(&at("redis://ada:hunter2@localhost"), Stage::Testing);
        assert!(!format!("{:?}", read.unwrap()).contains("hunter2"));
    }

    #[test]
    fn a_refusal_says_what_the_variable_should_look_like() {
        let refused =
            ValkeyConfig::read(&at("redis://cache.example.com"), Stage::Production).unwrap_err();

        assert_eq!(
            refused.to_string(),
            "TURNPIKE_VALKEY_URL: production takes no Valkey without TLS; it should be unset, or \
             the address of a Valkey, such as redis://127.0.0.1:6379 (in staging and production \
             rediss:// and without a password)",
        );
    }
}
