//! What `NO_PROXY` excepts. (ureq's own reading misses networks and the hosts of a bare domain.)

use core::net::IpAddr;

use http::Uri;

/// The servers that are reached without a proxy.
pub(crate) struct Except(Vec<Entry>);

enum Entry {
    All,
    Domain(String),
    Network(IpAddr, u32),
}

impl Except {
    /// Reads a list: `*` is all, an address or a network of addresses (192.0.2.0/24) is that, any
    /// other entry is a host or a domain with all that is beneath it.
    pub(crate) fn parse(list: &str) -> Self {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Self(entries.map(Entry::parse).collect())
    }

    pub(crate) fn matches(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(address) => self.0.iter().any(|entry| entry.has_address(address)),
            Err(_) => self.0.iter().any(|entry| entry.has_name(&host)),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse().ok()),
            None => (text, Some(u32::MAX)),
        };
        match (address.parse(), prefix) {
            _ if text == "*" => Self::All,
            (Ok(address), Some(u32::MAX)) => Self::Network(address, bits(address)),
            (Ok(address), Some(prefix)) if prefix <= bits(address) => {
                Self::Network(address, prefix)
            }
            _ => Self::Domain(text.trim_start_matches('.').to_ascii_lowercase()),
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Domain(_) => false,
            Self::Network(network, prefix) => {
                let rest = bits(address) - (*prefix).min(bits(address));
                let start = |address| number(address).checked_shr(rest).unwrap_or(0);
                network.is_ipv4() == address.is_ipv4() && start(*network) == start(address)
            }
        }
    }

    fn has_name(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            Self::Network(..) => false,
        }
    }
}

const fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excepts(list: &str, host: &str) -> bool {
        Except::parse(list).matches(&format!("https://{host}/").parse().unwrap())
    }

    #[test]
    fn no_proxy_excepts_hosts_and_what_is_beneath_a_domain() {
        let list = "a.example, .b.example,192.0.2.7,2001:db8::1,";
        for host in [
            "a.example",
            "A.Example",
            "x.a.example",
            "b.example",
            "x.b.example",
            "192.0.2.7",
            "[2001:db8::1]",
        ] {
            assert!(excepts(list, host), "{host}");
        }
        for host in ["xa.example", "a.example.org", "example", "192.0.2.70", "[2001:db8::2]"] {
            assert!(!excepts(list, host), "{host}");
        }
        assert!(!excepts("", "any.example"));
        assert!(!excepts("2.7", "192.0.2.7"), "an address is no domain");
    }

    #[test]
    fn no_proxy_excepts_networks_and_everything() {
        for host in ["any.example", "192.0.2.7", "[2001:db8::1]"] {
            assert!(excepts("a.test, *", host), "{host}");
        }
        for (list, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.9/30", "192.0.2.11", "192.0.2.12"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "[2001:db8::1]"),
            ("::/0", "[2001:db8::1]", "203.0.113.9"),
            ("2001:db8::/33", "[2001:db8:7fff::1]", "[2001:db8:8000::1]"),
            ("2001:db8::1/128", "[2001:db8::1]", "[2001:db8::]"),
        ] {
            assert!(excepts(list, inside), "{list} {inside}");
            assert!(!excepts(list, outside), "{list} {outside}");
        }
        for nonsense in ["192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "/24", "192.0.2.0/-1"] {
            assert!(!excepts(nonsense, "192.0.2.0"), "{nonsense}");
        }
    }
}
