//! Every address of the API, and what happens at all others.

use actix_web::http::header::ALLOW;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError, middleware};
use causeway_protocol::ErrorCode;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::{Refusal, api, app, body, deadline, origin, websocket};
use crate::site;

/// The document at `/api/v1/openapi.json`.
#[derive(OpenApi)]
#[openapi(
    info(title = "Causeway signaling", description = "Rooms in which WebRTC peers find one another."),
    paths(
        api::create_room, api::room_facts, api::create_invite, api::join_room, app::create_room, app::list_rooms,
        app::end_room, app::kick, websocket::open
    ),
    modifiers(&HostScheme)
)]
struct Document;

struct HostScheme;

impl utoipa::Modify for HostScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The host token that creating the room returned."))
            .build();
        let app = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("A token that the app minted under its API key, with the grant `admin`."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("host", SecurityScheme::Http(bearer));
        components.add_security_scheme("app", SecurityScheme::Http(app));
    }
}

/// Adds the API and the web demo.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let document = web::Data::new(Document::openapi());
    config.app_data(body::json()).app_data(body::path()).service(
        web::scope("/api/v1")
            .wrap(middleware::from_fn(deadline::limit))
            .wrap(middleware::from_fn(origin::guard))
            .app_data(document)
            .service(resource("/rooms", "POST").route(web::post().to(api::create_room)))
            .service(resource("/rooms/{room}", "GET").route(web::get().to(api::room_facts)))
            .service(resource("/rooms/{room}/invites", "POST").route(web::post().to(api::create_invite)))
            .service(resource("/rooms/{room}/join", "POST").route(web::post().to(api::join_room)))
            .service(
                resource("/app/rooms", "GET, POST")
                    .route(web::get().to(app::list_rooms))
                    .route(web::post().to(app::create_room)),
            )
            .service(resource("/app/rooms/{room}", "DELETE").route(web::delete().to(app::end_room)))
            .service(resource("/app/rooms/{room}/kick", "POST").route(web::post().to(app::kick)))
            .service(resource("/ws", "GET").route(web::get().to(websocket::open)))
            .service(resource("/openapi.json", "GET").route(web::get().to(openapi)))
            .default_service(web::to(nothing_here)),
    );
    config.service(web::scope("/api").default_service(web::to(nothing_here)));
    config.default_service(web::to(site::serve));
}

async fn openapi(document: web::Data<utoipa::openapi::OpenApi>) -> HttpResponse {
    HttpResponse::Ok().json(&document)
}

async fn nothing_here() -> Result<HttpResponse, Refusal> {
    Err(Refusal::new(ErrorCode::NotFound))
}

/// A resource that answers other methods than its own with 405 and names its own (RFC 9110 §15.5.6).
fn resource(path: &str, method: &'static str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(move || async move {
        let mut response = Refusal::new(ErrorCode::MethodNotAllowed).error_response();
        response.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static(method));
        response
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::App;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use causeway_cluster::{MemoryBus, MemoryHub};
    use causeway_protocol::rest::ApiError;
    use causeway_protocol::secret::Secret;

    use super::*;
    use crate::settings::SignalSettings;
    use crate::state::Signal;

    #[actix_web::test]
    async fn while_it_drains_nothing_new_begins() {
        let settings = SignalSettings { room_threads: 1, ..Default::default() };
        let (secret, bus) = (Secret::from_bytes([1; 32]), Arc::new(MemoryBus::new()));
        let signal = Arc::new(Signal::new(
            settings,
            &secret,
            causeway_protocol::token::TurnIssuer::hs256(&secret),
            "n".parse().unwrap(),
            bus,
            MemoryHub::new(causeway_service::clock::now).node("n".parse().unwrap()),
            crate::doors::RelayDoors::for_tests(),
        ));
        let shared = web::Data::from(Arc::clone(&signal));
        let app = init_service(App::new().app_data(shared).configure(routes)).await;
        signal.begin_drain();
        for request in [
            TestRequest::post().uri("/api/v1/rooms").set_json(serde_json::json!({})),
            TestRequest::post().uri("/api/v1/rooms/kitchen/join").set_json(serde_json::json!({})),
            TestRequest::get().uri("/api/v1/ws"),
        ] {
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), 503);
            let refused: ApiError = read_body_json(response).await;
            assert_eq!(refused.code, ErrorCode::Unavailable);
        }
        signal.rooms.stop();
    }

    #[test]
    fn the_document_names_every_route_and_every_body() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let mut paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        paths.sort();
        assert_eq!(
            paths,
            [
                "/api/v1/app/rooms",
                "/api/v1/app/rooms/{room}",
                "/api/v1/app/rooms/{room}/kick",
                "/api/v1/rooms",
                "/api/v1/rooms/{room}",
                "/api/v1/rooms/{room}/invites",
                "/api/v1/rooms/{room}/join",
                "/api/v1/ws"
            ]
        );
        for body in [
            "CreateRoom",
            "RoomCreated",
            "RoomFacts",
            "CreateInvite",
            "InviteCreated",
            "JoinRoom",
            "Joined",
            "ApiError",
            "ErrorCode",
            "RoomRole",
        ] {
            assert!(document["components"]["schemas"][body].is_object(), "{body}");
        }
    }
}
