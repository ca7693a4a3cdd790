//! Which web pages may talk to this server.
//!
//! There are no cookies, so a foreign page could do no more than any stranger; it is refused all the same,
//! because it would use its visitors' addresses and their networks' trust. Requests without an `Origin` are no
//! pages'.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError, web};
use causeway_protocol::ErrorCode;

use super::Refusal;
use crate::client;
use crate::settings::SignalSettings;
use crate::state::Signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No page, or a page of our own.
    Own,
    /// A page of a site that the operator named.
    Allowed,
    /// Any other page.
    Foreign,
}

/// Refuses foreign pages, and answers the questions of allowed ones (CORS).
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let standing = standing(&request, &origin);
    if standing == Standing::Foreign {
        let refused = Refusal::new(ErrorCode::OriginRefused).error_response();
        return Ok(request.into_response(refused));
    }
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if standing == Standing::Allowed {
        allow(response.headers_mut(), origin, preflight);
    }
    Ok(response)
}

fn standing(request: &ServiceRequest, origin: &HeaderValue) -> Standing {
    let settings = request.app_data::<web::Data<Signal>>().map(|signal| signal.settings());
    let (Some(settings), Ok(origin)) = (settings, origin.to_str()) else { return Standing::Foreign };
    if is_own(origin, client::authority(request.request()), &settings) {
        Standing::Own
    } else if settings.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
        Standing::Allowed
    } else {
        Standing::Foreign
    }
}

fn is_own(origin: &str, authority: Option<&str>, settings: &SignalSettings) -> bool {
    let page = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let same_host = matches!((page, authority), (Some(page), Some(us)) if page.eq_ignore_ascii_case(us));
    same_host || settings.public_url.as_deref().is_some_and(|url| url.eq_ignore_ascii_case(origin))
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    headers.append(VARY, HeaderValue::from_static("origin"));
    if preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_the_host_that_is_asked_is_our_own() {
        check("http://localhost:8080", Some("localhost:8080"), true);
        check("https://causeway.example", Some("Causeway.example"), true);
        check("http://localhost:8081", Some("localhost:8080"), false);
        check("http://evil.example", Some("localhost:8080"), false);
        check("http://localhost:8080.evil.example", Some("localhost:8080"), false);
        check("null", Some("null"), false);
        check("http://", None, false);
    }

    #[test]
    fn a_page_from_the_public_url_is_our_own_behind_a_proxy_that_rewrites_the_host() {
        let settings =
            SignalSettings { public_url: Some("https://causeway.example".to_owned()), ..Default::default() };
        assert!(is_own("https://causeway.example", Some("10.0.0.5:8080"), &settings));
        assert!(!is_own("https://evil.example", Some("10.0.0.5:8080"), &settings));
    }

    fn check(origin: &str, authority: Option<&str>, own: bool) {
        assert_eq!(is_own(origin, authority, &SignalSettings::default()), own, "{origin} at {authority:?}");
    }
}
