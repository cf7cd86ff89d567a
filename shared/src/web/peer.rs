//! Who is at the other end of the connection.

use std::net::IpAddr;

/// The address that the request came from, as API Gateway or the socket says it; never a header
/// that the client wrote. Whoever receives requests puts it among a request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct PeerIp(pub IpAddr);

impl PeerIp {
    /// The address in what API Gateway says; the sample events of SAM write it with a prefix length.
    pub fn parse(source_ip: &str) -> Option<Self> {
        source_ip.split('/').next()?.parse().ok().map(Self)
    }
}
