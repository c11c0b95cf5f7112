//! Web pages of which origins may pay here (Fetch, section 3.2: CORS). Nothing that a browser sends by itself, such as a cookie, is ever asked for: a payment is signed
//! for each request, so a page of another origin can do what any other client can, and no more.

use thiserror::Error;

/// Origins whose pages may read answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Those of this server alone, by the browser's own rule.
    #[default]
    Own,
    Listed(Vec<String>),
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no origin: wanted is `https://shop.example.com`, without a path, or `*` for all")]
pub struct NoOrigin(String);

impl Origins {
    /// # Errors
    ///
    /// One of them is neither an origin as browsers write it (RFC 6454, section 6.2) nor `*`.
    pub fn parse(texts: &[String]) -> Result<Self, NoOrigin> {
        if let Some(wrong) = texts.iter().find(|text| *text != "*" && !is_origin(text)) {
            return Err(NoOrigin(wrong.clone()));
        }
        Ok(match texts {
            [] => Self::Own,
            _ if texts.iter().any(|text| text == "*") => Self::Any,
            _ => Self::Listed(texts.to_vec()),
        })
    }

    /// What an answer to a page of this origin says of who may read it.
    #[must_use]
    pub fn answer<'a>(&self, origin: &'a str) -> Option<&'a str> {
        match self {
            Self::Own => None,
            Self::Listed(listed) => listed.iter().any(|one| one == origin).then_some(origin),
            Self::Any => Some("*"),
        }
    }
}

/// Lower case, a host, and nothing behind it.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(of_host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Origins, NoOrigin> {
        Origins::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_listed_origins_are_answered() {
        let own = parse(&[]).expect("none is well");
        assert_eq!(own.answer("https://shop.example.com"), None);
        let listed = parse(&["https://shop.example.com", "http://localhost:5173"]).expect("two origins");
        assert_eq!(listed.answer("https://shop.example.com"), Some("https://shop.example.com"));
        assert_eq!(listed.answer("http://localhost:5173"), Some("http://localhost:5173"));
        for other in
            ["http://shop.example.com", "https://shop.example.com.evil.org", "https://shop.example.com:444", "null"]
        {
            assert_eq!(listed.answer(other), None, "{other}");
        }
        assert_eq!(parse(&["https://a.org", "*"]).expect("all").answer("null"), Some("*"));
    }

    #[test]
    fn what_no_browser_sends_as_an_origin_is_refused() {
        for wrong in [
            "shop.example.com",
            "https://shop.example.com/",
            "https://Shop.example.com",
            "ftp://a.org",
            "https://",
            "null",
            "",
        ] {
            assert_eq!(parse(&[wrong]), Err(NoOrigin(wrong.to_owned())), "{wrong}");
        }
    }
}
