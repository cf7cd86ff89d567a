//! From where a key may be used: a list of networks, and which addresses and lists lie within it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most networks that a list has; each is compared with at each request.
pub const MAX_NETWORKS: usize = 50;

/// The bits before the IPv4 address in `::ffff:0:0/96` (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Why a text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    #[error("neither a network such as 192.0.2.0/24 nor an address")]
    Malformed,
    /// The address names more than its network: what was meant may be the address or the network.
    #[error("bits are set beyond the prefix; the network is {network}")]
    HostBitsSet { network: IpNet },
}

/// A network in CIDR notation. IPv4 within IPv6 (`::ffff:0:0/96`) is IPv4.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Malformed)?;
        let network = match prefix {
            Some(prefix) => IpNet::new(address, prefix_length(prefix)?)
                .map_err(|_| InvalidNetwork::Malformed)?,
            None => address.into(),
        };
        if network == network.trunc() {
            Ok(Self(unmapped(network)))
        } else {
            let network = network.trunc();
            Err(InvalidNetwork::HostBitsSet { network })
        }
    }
}

fn prefix_length(text: &str) -> Result<u8, InvalidNetwork> {
    let is_canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_canonical {
        text.parse().map_err(|_| InvalidNetwork::Malformed)
    } else {
        Err(InvalidNetwork::Malformed)
    }
}

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let v4 = v6.addr().to_ipv4_mapped().and_then(|address| {
        let prefix = v6.prefix_len().checked_sub(MAPPED_BITS)?;
        Ipv4Net::new(address, prefix).ok()
    });
    v4.map_or(network, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// More networks than a list has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_NETWORKS} networks")]
pub struct TooManyNetworks;

/// The networks from which a key may be used; none means from everywhere.
///
/// `::/0` is every IPv6 address and no IPv4 one; whoever means both writes both.
#[derive(Clone, PartialEq, Eq, Debug, Default, utoipa::ToSchema)]
#[schema(value_type = Vec<String>, example = json!(["192.0.2.0/24", "2001:db8::/32"]))]
pub struct CidrList(Vec<Network>);

impl CidrList {
    /// The list that lets every address in.
    pub const fn everywhere() -> Self {
        Self(Vec::new())
    }

    /// Whether it lets every address in because it names none.
    pub const fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the order, and of repeated networks the first.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Result<Self, TooManyNetworks> {
        let mut list = Vec::new();
        for network in networks {
            if !list.contains(&network) {
                list.push(network);
            }
            if list.len() > MAX_NETWORKS {
                return Err(TooManyNetworks);
            }
        }
        Ok(Self(list))
    }

    pub fn iter(&self) -> impl Iterator<Item = Network> {
        self.0.iter().copied()
    }

    /// Whether a request from `address` may use the key. An IPv4 address within IPv6, as sockets
    /// for both show it, counts as IPv4.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.is_everywhere() || self.0.iter().any(|network| network.0.contains(&address))
    }

    /// Whether `other` lets in no address that this list does not.
    pub fn contains_list(&self, other: &Self) -> bool {
        if self.is_everywhere() || other.is_everywhere() {
            return self.is_everywhere();
        }
        // Two halves hold a whole that neither holds: compared is with what they are together. Once
        // neighbours are joined, a network within all of them is within one.
        let own: Vec<IpNet> = self.0.iter().map(|network| network.0).collect();
        let own = IpNet::aggregate(&own);
        let lies_within = |network: &Network| own.iter().any(|ours| ours.contains(&network.0));
        other.0.iter().all(lies_within)
    }
}

impl Serialize for CidrList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|network| network.to_string()))
    }
}

impl<'de> Deserialize<'de> for CidrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let networks: Result<Vec<Network>, _> = texts.iter().map(|text| text.parse()).collect();
        let networks = networks.map_err(serde::de::Error::custom)?;
        Self::new(networks).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn list(networks: &[&str]) -> CidrList {
        CidrList::new(networks.iter().map(|text| text.parse().unwrap())).unwrap()
    }

    #[test]
    fn a_network_is_shown_in_one_form_however_it_was_written() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::/32", "2001:db8::/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ];

        for (text, shown) in cases {
            assert_eq!(
                text.parse::<Network>().unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let cases = [
            "",
            "/",
            "/24",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/+8",
            "192.0.2.0/024",
            "192.0.2.0/24/24",
            "192.0.2/24",
            "192.000.002.000/24",
            " 192.0.2.0/24",
            "2001:db8::/129",
            "fe80::1%eth0",
            "[2001:db8::]/32",
            "example.com",
            "*",
        ];

        for text in cases {
            let refused = text.parse::<Network>();

            assert_eq!(refused, Err(InvalidNetwork::Malformed), "{text:?}");
        }
    }

    #[test]
    fn an_address_with_more_bits_than_its_prefix_is_told_its_network() {
        for (text, network) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1/32", "2001:db8::/32"),
        ] {
            let refused = text.parse::<Network>().unwrap_err();

            assert!(refused.to_string().ends_with(network), "{refused}");
        }
    }

    #[test]
    fn an_address_is_let_in_by_a_network_that_holds_it_or_by_no_list_at_all() {
        let office = ["192.0.2.0/24", "2001:db8::/32"];
        let cases: [(&[&str], &str, bool); 11] = [
            (&[], "198.51.100.1", true),
            (&[], "2001:db8::1", true),
            (&office, "192.0.2.255", true),
            (&office, "192.0.3.0", false),
            (&office, "2001:db8:ffff::1", true),
            (&office, "2001:db9::1", false),
            (&office, "::ffff:192.0.2.7", true),
            (&office, "::ffff:192.0.3.7", false),
            (&["::ffff:192.0.2.0/120"], "192.0.2.7", true),
            (&["::/0"], "::ffff:192.0.2.7", false),
            (&["0.0.0.0/0"], "2001:db8::1", false),
        ];

        for (networks, address, expected) in cases {
            let allowed = list(networks).allows(address.parse().unwrap());

            assert_eq!(allowed, expected, "{address} in {networks:?}");
        }
    }

    #[test]
    fn a_list_lies_within_another_when_it_lets_in_nobody_more() {
        let halves = ["10.128.0.0/9", "10.0.0.0/9"];
        let cases: [(&[&str], &[&str], bool); 11] = [
            (&[], &[], true),
            (&[], &["10.0.0.0/8"], true),
            (&["0.0.0.0/0", "::/0"], &[], false),
            (&["10.0.0.0/8"], &["10.0.0.0/8"], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "10.2.3.4"], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "11.0.0.0/16"], false),
            (&["10.1.0.0/16"], &["10.0.0.0/8"], false),
            (&halves, &["10.0.0.0/8"], true),
            (&halves, &["10.0.0.0/7"], false),
            (&["::/0"], &["10.0.0.0/8"], false),
            (&["10.0.0.0/8"], &["::ffff:10.1.0.0/112"], true),
        ];

        for (outer, inner, expected) in cases {
            let within = list(outer).contains_list(&list(inner));

            assert_eq!(within, expected, "{inner:?} within {outer:?}");
        }
    }

    #[test]
    fn a_list_has_at_most_fifty_networks_each_once() {
        let addresses = |count: u8| {
            (0..count).map(|last| Network(IpNet::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))))
        };

        let twice = CidrList::new(addresses(50).chain(addresses(50))).unwrap();
        let too_many = CidrList::new(addresses(51));

        assert_eq!(twice.iter().count(), 50);
        assert_eq!(too_many, Err(TooManyNetworks));
    }

    #[test]
    fn a_list_survives_being_stored() {
        let stored = serde_json::to_string(&list(&["2001:db8::/32", "192.0.2.7"])).unwrap();

        assert_eq!(stored, r#"["2001:db8::/32","192.0.2.7/32"]"#);
        let read: CidrList = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, list(&["2001:db8::/32", "192.0.2.7"]));
    }

    /// Networks among 16 addresses, so that they touch and overlap.
    fn small_lists() -> impl Strategy<Value = CidrList> {
        let network = (0_u8..16, 28_u8..=32).prop_map(|(last, prefix)| {
            let address = Ipv4Addr::new(192, 0, 2, last);
            Network(IpNet::V4(Ipv4Net::new(address, prefix).unwrap().trunc()))
        });
        prop::collection::vec(network, 1..6).prop_map(|networks| CidrList::new(networks).unwrap())
    }

    proptest! {
        #[test]
        fn a_list_lies_within_another_exactly_if_each_of_its_addresses_does(
            outer in small_lists(),
            inner in small_lists(),
        ) {
            let mut addresses = (0..16).map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
            let expected = addresses.all(|address| !inner.allows(address) || outer.allows(address));

            prop_assert_eq!(outer.contains_list(&inner), expected);
        }
    }
}
