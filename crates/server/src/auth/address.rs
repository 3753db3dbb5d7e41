//! The address a request comes from: the peer's, or what trusted proxies say of it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::FORWARDED;
use axum::http::request::Parts;
use ipnet::IpNet;

/// Most hops that are looked at; a longer chain is believed as far as this.
const HOPS_MAX: usize = 32;

/// The other end of the connection, put beside every request by the accept loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The client's address: the peer's unless it is a trusted proxy; then the right-most forwarded address that is not
/// a trusted proxy itself. Whatever stands left of that is the client's own say and never believed.
pub(super) fn client(parts: &Parts, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = parts.extensions.get::<Peer>()?.0.ip().to_canonical();
    if !is_trusted(peer, trusted) {
        return Some(peer);
    }
    let chain = if parts.headers.contains_key(FORWARDED) {
        forwarded(&parts.headers)
    } else {
        x_forwarded_for(&parts.headers)
    };
    let mut nearest = peer;
    for hop in chain.into_iter().rev().take(HOPS_MAX) {
        // A hop that cannot be read ends the chain: what stands left of it is not vouched for.
        let Some(address) = hop else { return Some(nearest) };
        if !is_trusted(address, trusted) {
            return Some(address);
        }
        nearest = address;
    }
    Some(nearest)
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

fn lines(headers: &HeaderMap, name: impl axum::http::header::AsHeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default())
}

/// RFC 7239: `for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let element = |element: &str| {
        element.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
        })
    };
    lines(headers, FORWARDED).flat_map(|line| line.split(',').map(element)).collect()
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    lines(headers, "x-forwarded-for")
        .flat_map(|line| line.split(',').map(|hop| address(hop.trim())))
        .collect()
}

/// An address with or without a port, with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
        .ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn seen(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        parts.extensions.insert(Peer(SocketAddr::new(peer.parse().expect("an address"), 1)));
        let trusted = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network"));
        client(&parts, &trusted).expect("a peer").to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_the_right_most_other_hop_wins() {
        let xff = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("192.0.2.1", vec![(xff, "198.51.100.7")], "192.0.2.1"),
            ("10.0.0.1", vec![(xff, "198.51.100.7")], "198.51.100.7"),
            ("10.0.0.1", vec![(xff, "6.6.6.6, 198.51.100.7, 10.0.0.2")], "198.51.100.7"),
            ("10.0.0.1", vec![(xff, "6.6.6.6"), (xff, "198.51.100.7")], "198.51.100.7"),
            ("10.0.0.1", vec![(xff, "6.6.6.6, unknown, 10.0.0.3")], "10.0.0.3"),
            ("10.0.0.1", vec![(xff, "10.0.0.4")], "10.0.0.4"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("::ffff:10.0.0.1", vec![(xff, "198.51.100.7:4711")], "198.51.100.7"),
            (
                "::1",
                vec![("forwarded", "for=6.6.6.6, For=\"[2001:db8::1]:4711\";proto=https")],
                "2001:db8::1",
            ),
            ("::1", vec![("forwarded", "for=_hidden")], "::1"),
            ("::1", vec![("forwarded", "for=192.0.2.60"), (xff, "6.6.6.6")], "192.0.2.60"),
        ] {
            assert_eq!(seen(peer, &headers), expected, "{peer} {headers:?}");
        }
    }
}
