//! Who may ask.
//!
//! A page of another site must not read what is here, nor change it, even if its owner points the site's name at this machine (DNS rebinding). So a request
//! has to call this machine by an address or as `localhost`, and what a browser sends has to come from the page itself.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use super::secret_word;

/// What has to be shown where others can reach the address.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub(crate) fn new() -> Token {
        Token(secret_word())
    }

    /// Whether it is this one. Hashes are compared, so that how long it takes says nothing.
    fn is(&self, shown: &str) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(shown.as_bytes())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Decides who may ask.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    loopback: bool,
    token: Option<Token>,
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It calls this machine by a name.
    Name,
    /// It comes from another site.
    Site,
    /// It has no token, or another.
    Token,
}

impl Refusal {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Refusal::Name => {
                "open the dashboard by this machine's address, or as localhost; other names are refused, since any site could take one"
            }
            Refusal::Site => "only the dashboard's own page may ask: open it itself, in a tab of its own",
            Refusal::Token => {
                "a token is needed: open the whole address that `starling` printed, with what follows the #"
            }
        }
    }
}

impl Guard {
    pub(crate) fn new(address: SocketAddr, token: Option<Token>) -> Guard {
        Guard { loopback: address.ip().is_loopback(), token }
    }

    /// Whether a request may have the page. What is in it is no secret.
    pub(crate) fn page(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = text(headers, header::HOST.as_str()).ok_or(Refusal::Name)?;
        let is_ours = match name(host).parse::<IpAddr>() {
            Ok(ip) => !self.loopback || ip.is_loopback(),
            Err(_) => name(host) == "localhost",
        };
        if is_ours { Ok(()) } else { Err(Refusal::Name) }
    }

    /// Whether a request may ask the API.
    pub(crate) fn api(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.page(headers)?;
        let host = text(headers, header::HOST.as_str()).unwrap_or_default();
        if let Some(origin) = text(headers, header::ORIGIN.as_str())
            && origin.strip_prefix("http://") != Some(host)
        {
            return Err(Refusal::Site);
        }
        // Browsers say so themselves; a request without it is no browser's, or the address's own.
        if text(headers, "sec-fetch-site").is_some_and(|from| from != "same-origin" && from != "none") {
            return Err(Refusal::Site);
        }
        let Some(token) = &self.token else { return Ok(()) };
        let shown = text(headers, header::AUTHORIZATION.as_str());
        let shown = shown.and_then(|shown| shown.strip_prefix("Bearer "));
        if shown.is_some_and(|shown| token.is(shown)) { Ok(()) } else { Err(Refusal::Token) }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A host without its port.
fn name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(guard: &Guard, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        guard.api(&headers.collect())
    }

    #[test]
    fn a_name_that_leads_here_is_refused() {
        let guard = Guard::new(([127, 0, 0, 1], 4748).into(), None);
        for host in ["127.0.0.1:4748", "localhost:4748", "localhost", "[::1]:4748", "127.0.0.2"] {
            assert_eq!(asks(&guard, &[("host", host)]), Ok(()), "{host}");
        }
        for host in
            ["evil.example:4748", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost.evil.example", "[::2]"]
        {
            assert_eq!(asks(&guard, &[("host", host)]), Err(Refusal::Name), "{host}");
        }
        assert_eq!(asks(&guard, &[]), Err(Refusal::Name));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let guard = Guard::new(([127, 0, 0, 1], 4748).into(), None);
        let host = ("host", "127.0.0.1:4748");
        assert_eq!(asks(&guard, &[host, ("origin", "http://127.0.0.1:4748")]), Ok(()));
        for origin in ["http://evil.example", "null", "http://127.0.0.1:4749", "https://127.0.0.1:4748"] {
            assert_eq!(asks(&guard, &[host, ("origin", origin)]), Err(Refusal::Site), "{origin}");
        }
        assert_eq!(asks(&guard, &[host, ("sec-fetch-site", "cross-site")]), Err(Refusal::Site));
        assert_eq!(asks(&guard, &[host, ("sec-fetch-site", "same-origin")]), Ok(()));
    }

    #[test]
    fn from_other_machines_the_token_is_asked_for() {
        let token = Token::new();
        let guard = Guard::new(([0, 0, 0, 0], 4748).into(), Some(token.clone()));
        let host = ("host", "192.168.1.7:4748");
        let right = format!("Bearer {token}");
        assert_eq!(asks(&guard, &[host, ("authorization", &right)]), Ok(()));
        for wrong in ["", "Bearer ", "Bearer 00000000000000000000000000000000", &right[7..]] {
            assert_eq!(asks(&guard, &[host, ("authorization", wrong)]), Err(Refusal::Token), "{wrong}");
        }
        assert_eq!(asks(&guard, &[host]), Err(Refusal::Token));
        assert_eq!(asks(&guard, &[("host", "evil.example"), ("authorization", &right)]), Err(Refusal::Name));
        assert!(!format!("{token:?}").contains(&token.to_string()), "logs do not show it");
    }
}
