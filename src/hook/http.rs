//! What a hook says of a web service: its address, its headers, and what of them is secret.
//!
//! An address may be a secret in its path (many services hand out such), and headers mostly are one. So nothing here
//! shows more of them than scheme, host and port, and the names of the headers.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A web service that gets events.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpSpec {
    /// Where events are sent.
    pub url: HttpUrl,
    /// Headers that are sent with them: names as they were written, and values without line breaks.
    pub headers: Vec<(String, Secret)>,
    /// What was filled in from the environment: no message repeats it.
    pub secrets: Vec<Secret>,
    /// A file of certificates (PEM) that are trusted instead of the built-in ones; absolute.
    pub ca: Option<PathBuf>,
    /// It gets batches of events as lines, and answers with lines.
    pub lines: bool,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// An `http` or `https` address.
///
/// ```
/// use hookpool::HttpUrl;
/// let url: HttpUrl = "https://hooks.example.com/services/T0/SECRET".parse()?;
/// assert_eq!((url.is_tls(), url.host(), url.port()), (true, "hooks.example.com", 443));
/// assert_eq!(url.to_string(), "https://hooks.example.com/…");
/// assert!("https://user:word@example.com/".parse::<HttpUrl>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    tls: bool,
    host: String,
    port: u16,
    target: String,
}

impl HttpUrl {
    /// True for `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; that of the scheme if none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as they are asked for.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port, without the port of the scheme.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl FromStr for HttpUrl {
    type Err = String;

    /// The error says what would be right, and repeats nothing of the text: it may be a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must be plain ASCII: a host in its `xn--` form, all else percent-encoded".into());
        }
        let scheme = |name: &str| {
            let (own, rest) = text.split_once("://")?;
            own.eq_ignore_ascii_case(name).then_some(rest)
        };
        let (tls, rest) = match (scheme("http"), scheme("https")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err("must begin with `http://` or `https://`".into()),
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("must not hold a user and password; send them as the header `Authorization`".into());
        }
        if target.contains('#') {
            return Err("must not have a fragment (`#…`): it is not sent".into());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (host, port) = inside.split_once(']').ok_or("has a `[` without `]`")?;
                if !host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
                    return Err("has no IPv6 address between its brackets".into());
                }
                (host, port)
            }
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port(tls),
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or("has a port that is not from 1 to 65535")?,
            _ => return Err("has a port that is not from 1 to 65535".into()),
        };
        let is_name = |c: char| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '.' | '_')
                || (c == ':' && authority.starts_with('['))
        };
        if host.is_empty() || host.len() > 253 || !host.chars().all(is_name) {
            return Err("must name a host behind its scheme".into());
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, target })
    }
}

/// Scheme, host and port alone.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let rest = if self.target == "/" { "/" } else { "/…" };
        write!(f, "{scheme}://{}{rest}", self.authority())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (text, host, port, target, authority) in [
            ("http://a", "a", 80, "/", "a"),
            ("HTTP://A.b-c_d:8080", "a.b-c_d", 8080, "/", "a.b-c_d:8080"),
            ("https://a?x=1", "a", 443, "/?x=1", "a"),
            ("https://a:443/p//q?x=/@:", "a", 443, "/p//q?x=/@:", "a"),
            ("http://[::1]:9/", "::1", 9, "/", "[::1]:9"),
            ("http://[::1]", "::1", 80, "/", "[::1]"),
            ("http://127.0.0.1:1/%0d%0a", "127.0.0.1", 1, "/%0d%0a", "127.0.0.1:1"),
        ] {
            let url: HttpUrl = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((url.host(), url.port(), url.target()), (host, port, target), "{text}");
            assert_eq!(url.authority(), authority, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_says_what_would_be_right_and_repeats_nothing() {
        for (text, why) in [
            ("", "must begin with"),
            ("ftp://SECRET/", "must begin with"),
            ("SECRET:80", "must begin with"),
            ("http://", "must name a host"),
            ("http:///SECRET", "must name a host"),
            ("http://:80/", "must name a host"),
            ("http://SECRET:/", "has a port"),
            ("http://SECRET:0/", "has a port"),
            ("http://SECRET:65536/", "has a port"),
            ("http://SECRET:+1/", "has a port"),
            ("http://[::1", "without `]`"),
            ("http://[SECRET]/", "no IPv6"),
            ("http://[::1]x/", "has a port"),
            ("http://::1/", "has a port"),
            ("http://SECRET@a/", "user and password"),
            ("http://a/#SECRET", "fragment"),
            ("http://a/ SECRET", "plain ASCII"),
            ("http://a/\r\nSECRET: x", "plain ASCII"),
            ("http://ä/", "plain ASCII"),
            ("http://a%0d/", "must name a host"),
        ] {
            let error = text.parse::<HttpUrl>().unwrap_err();
            assert!(error.contains(why) && !error.contains("SECRET"), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_is_shown_that_may_be_secret() {
        let spec = HttpSpec {
            url: "https://a:8443/hush?hush".parse().unwrap(),
            headers: vec![("Authorization".into(), Secret("hush".into()))],
            secrets: vec![Secret("hush".into())],
            ca: None,
            lines: false,
        };
        let shown = format!("{spec:?}");
        assert!(!shown.contains("hush") && shown.contains("https://a:8443/…"), "{shown}");
    }
}
