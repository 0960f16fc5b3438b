//! HTTP responses and their headers.

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        CACHE_CONTROL, CONTENT_TYPE, VARY,
    },
};

use crate::Body;

pub(crate) fn error(status: StatusCode, code: u8, message: &str) -> Response<Body> {
    let message = serde_json::to_string(message).unwrap_or_else(|_| "\"\"".to_owned());
    respond(
        status,
        "application/json",
        Body::new(format!("{{\"code\":{code},\"message\":{message}}}")),
    )
}

/// Value of the `Connection` header: the connection is not reused.
pub(crate) const CLOSE: HeaderValue = HeaderValue::from_static("close");

pub(crate) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn text(status: StatusCode, body: Body) -> Response<Body> {
    respond(status, "text/plain; charset=UTF-8", body)
}

/// Adds CORS headers for one origin. Never a wildcard, which browsers refuse with credentials.
pub(crate) fn add_cors(
    headers: &mut HeaderMap,
    origin: Option<HeaderValue>,
    is_preflight: bool,
    requested_headers: Option<HeaderValue>,
) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    if is_preflight {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET,POST,OPTIONS"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        headers.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
        if let Some(requested) = requested_headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested);
        }
    }
}
