//! Cross-Origin Resource Sharing (Fetch standard, section 3.2): which pages may send requests and read the answers.

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

use super::CorsConfig;
use crate::http::{ResponseBody, empty};

/// Headers that a page may always set.
const ALWAYS_ALLOWED: [&str; 4] = ["accept", "accept-language", "content-language", "content-type"];
/// What a page may set besides if nothing is configured.
const ALLOWED_BY_DEFAULT: &str = "x-requested-with";
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::HEAD];

pub(super) struct Cors {
    origins: Vec<String>,
    headers: Vec<String>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Cors {
    /// `None` where no origin is allowed.
    pub(super) fn new(config: &CorsConfig) -> Option<Self> {
        if config.allowed_origins.is_empty() {
            return None;
        }
        let mut headers: Vec<_> =
            config.allowed_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        if headers.is_empty() {
            headers.push(ALLOWED_BY_DEFAULT.to_owned());
        }
        headers.extend(ALWAYS_ALLOWED.map(str::to_owned));
        Some(Self {
            origins: config.allowed_origins.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
            headers,
            exposed: (!config.exposed_headers.is_empty())
                .then(|| HeaderValue::from_str(&config.exposed_headers.join(", ")).ok())
                .flatten(),
            max_age: (config.max_age > 0).then(|| HeaderValue::from(config.max_age)),
        })
    }

    /// Whether a request only asks what would be allowed.
    pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The answer to a preflight request. What is not allowed is left out, which makes the browser refuse.
    pub(super) fn preflight(&self, request: &HeaderMap) -> Response<ResponseBody> {
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(VARY, PREFLIGHT_VARY);
        let (Some(origin), Some(method)) =
            (self.allowed_origin(request), request.get(ACCESS_CONTROL_REQUEST_METHOD))
        else {
            return response;
        };
        let wanted = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
        let allowed = METHODS.iter().any(|known| method.as_bytes() == known.as_str().as_bytes())
            && wanted.is_none_or(|wanted| self.allows_headers(wanted));
        if allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            if let Some(wanted) = wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            if let Some(max_age) = &self.max_age {
                headers.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
            }
        }
        response
    }

    /// Says in a response that the page may read it.
    pub(super) fn decorate(&self, origin: Option<HeaderValue>, response: &mut HeaderMap) {
        response.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin else { return };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if let Some(exposed) = &self.exposed {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    /// What to answer to the origin of a request, if it is allowed.
    pub(super) fn allowed_origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        let name = origin.to_str().ok()?.to_ascii_lowercase();
        self.origins.iter().any(|allowed| matches(allowed, &name)).then(|| origin.clone())
    }

    fn allows_headers(&self, wanted: &HeaderValue) -> bool {
        let Ok(wanted) = wanted.to_str() else { return false };
        self.headers.iter().any(|allowed| allowed == "*")
            || wanted
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .all(|name| name.is_empty() || self.headers.contains(&name))
    }
}

/// Whether `origin` is `allowed`, in which one `*` stands for any text.
fn matches(allowed: &str, origin: &str) -> bool {
    match allowed.split_once('*') {
        None => allowed == origin,
        Some((start, end)) => {
            origin.len() >= start.len() + end.len() && origin.starts_with(start) && origin.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        Cors::new(&CorsConfig {
            allowed_origins: origins.iter().map(ToString::to_string).collect(),
            allowed_headers: vec!["X-Token".into()],
            exposed_headers: vec!["X-Seen".into()],
            max_age: 600,
        })
        .unwrap()
    }

    fn asking(origin: &str, method: &str, wanted: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, method.parse().unwrap());
        headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, wanted.parse().unwrap());
        headers
    }

    #[test]
    fn an_allowed_page_is_told_so() {
        let response = cors(&["https://*.example.com"]).preflight(&asking(
            "https://app.example.com",
            "POST",
            "content-type, X-Token",
        ));
        let headers = response.headers();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.com");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, X-Token");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "600");
    }

    #[test]
    fn what_is_not_allowed_is_left_out() {
        let cors = cors(&["https://example.com"]);
        for asking in [
            asking("https://example.com.evil.test", "POST", "content-type"),
            asking("https://example.com", "DELETE", "content-type"),
            asking("https://example.com", "POST", "authorization"),
        ] {
            assert!(
                cors.preflight(&asking).headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none(),
                "{asking:?}"
            );
        }
    }

    #[test]
    fn any_origin_is_answered_with_a_star() {
        let cors = cors(&["*"]);
        let origin = cors.allowed_origin(&asking("http://x.test", "POST", ""));
        assert_eq!(origin.as_ref().unwrap(), "*");
        let mut response = HeaderMap::new();
        cors.decorate(origin, &mut response);
        assert_eq!(response[ACCESS_CONTROL_EXPOSE_HEADERS], "X-Seen");
    }
}
