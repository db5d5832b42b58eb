//! The HTTP endpoints: JSON as OAP takes it, and Satellite's `/logging`, which is protobuf.

use ::http::{Method, Response, StatusCode};
use futures_util::future::BoxFuture;
use sluice_pipeline::http::{
    Refusal, ResponseBody, empty,
    server::{Content, Handler, IncomingRequest},
    with_type,
};
use sluice_protocols::{
    json::JsonError,
    skywalking::json::{self, messages},
};

use super::{
    intake::{Intake, Patience},
    translate::{Kind, Malformed, Translator},
};
use crate::rejection::Rejection;

const JSON: &str = "application/json";
const NOTHING_HERE: Rejection = Rejection::Path {
    status: StatusCode::NOT_FOUND,
    reason: "unknown_path",
    message: "there is nothing at this path",
};

/// Answers the requests of all endpoints.
pub(super) struct Http {
    intake: Intake,
}

/// What a path takes.
#[derive(Clone, Copy)]
struct Route {
    kind: Kind,
    /// How its JSON is read; `None` for protobuf.
    json: Option<&'static json::Message>,
    answer: Answer,
}

/// What is said where all went well.
#[derive(Clone, Copy)]
enum Answer {
    /// Empty `Commands`.
    Commands,
    Nothing,
    /// Satellite's.
    Status,
}

/// Why content is not what its path takes.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("this is not the JSON of SkyWalking's protocol: {0}")]
    Json(#[from] JsonError),
    #[error(transparent)]
    Protobuf(#[from] Malformed),
    #[error("this is no text, but JSON is")]
    Text,
}

impl Http {
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake }
    }

    async fn receive(&self, request: &mut IncomingRequest) -> Result<Answer, Rejection> {
        let Some(route) = route(request.path()) else {
            request.drain().await;
            return Err(NOTHING_HERE);
        };
        if request.head.method != Method::POST {
            request.drain().await;
            return Err(Rejection::Method);
        }
        let Content { bytes, charge, .. } = request.content().await?;
        let mut translator = self.intake.translator(route.kind);
        read(route, &bytes, &mut translator).map_err(|unreadable| match unreadable {
            Unreadable::Protobuf(Malformed::Exhausted(exhausted)) => Refusal::from(exhausted),
            unreadable => Refusal::Malformed(unreadable.to_string()),
        })?;
        drop((bytes, charge));
        self.intake.deliver(&mut translator, request.context(None), Patience::Once).await?;
        Ok(route.answer)
    }
}

fn read(route: Route, content: &[u8], translator: &mut Translator) -> Result<(), Unreadable> {
    match route.json {
        Some(definition) => {
            let text = std::str::from_utf8(content).map_err(|_| Unreadable::Text)?;
            messages(definition, text, |message| Ok(translator.push(message)?))
        }
        None => Ok(translator.push(content)?),
    }
}

fn route(path: &str) -> Option<Route> {
    use Answer::{Commands, Nothing, Status};
    let (kind, json, answer) = match path {
        "/v3/segment" | "/v3/segments" => (Kind::Segment, Some(&json::SEGMENT_OBJECT), Commands),
        "/v3/logs" => (Kind::Log, Some(&json::LOG_DATA), Commands),
        "/v3/events" => (Kind::Event, Some(&json::EVENT), Commands),
        "/v3/management/reportProperties" => {
            (Kind::InstanceProperties, Some(&json::INSTANCE_PROPERTIES), Commands)
        }
        "/v3/management/keepAlive" => (Kind::InstancePing, Some(&json::INSTANCE_PING_PKG), Commands),
        "/browser/perfData" => (Kind::BrowserPerf, Some(&json::BROWSER_PERF_DATA), Nothing),
        "/browser/perfData/webVitals" => {
            (Kind::BrowserWebVitals, Some(&json::BROWSER_WEB_VITALS_PERF_DATA), Nothing)
        }
        "/browser/perfData/webInteractions" => {
            (Kind::BrowserWebInteractions, Some(&json::BROWSER_WEB_INTERACTIONS_PERF_DATA), Nothing)
        }
        "/browser/perfData/resources" => {
            (Kind::BrowserResource, Some(&json::BROWSER_RESOURCE_PERF_DATA), Nothing)
        }
        "/browser/errorLog" | "/browser/errorLogs" => {
            (Kind::BrowserError, Some(&json::BROWSER_ERROR_LOG), Nothing)
        }
        "/logging" => (Kind::Log, None, Status),
        _ => return None,
    };
    Some(Route { kind, json, answer })
}

impl Answer {
    fn response(self) -> Response<ResponseBody> {
        match self {
            Self::Commands => with_type(StatusCode::OK, JSON, "{}"),
            Self::Status => with_type(StatusCode::OK, JSON, r#"{"status":"success","msg":"success"}"#),
            Self::Nothing => {
                let mut response = Response::new(empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
        }
    }
}

impl Handler for Http {
    fn handle(&self, mut request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            match self.receive(&mut request).await {
                Ok(answer) => answer.response(),
                Err(rejection) => {
                    if let Some(reason) = rejection.reason() {
                        self.intake.metrics.refused_request(reason);
                    }
                    rejection.response()
                }
            }
        })
    }

    fn refused(&self, reason: &'static str) {
        self.intake.metrics.refused_request(reason);
    }
}
