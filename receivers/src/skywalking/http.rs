//! The HTTP endpoints: JSON as OAP takes it, and Satellite's `/logging`, which is protobuf.

use std::time::Duration;

use ::http::{HeaderValue, Method, Response, StatusCode, header};
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Failure,
    http::{
        Refusal, ResponseBody, empty,
        server::{Content, Handler, IncomingRequest},
        text, with_type,
    },
    reply::Retry,
};
use sluice_protocols::{
    json::JsonError,
    skywalking::json::{self, messages},
};

use super::{
    intake::{Intake, Patience},
    translate::{Kind, Malformed, Translator},
};

const JSON: &str = "application/json";
/// How soon a client may send again, if no exporter says otherwise.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("there is nothing at this path")]
    Path,
    #[error("send with POST")]
    Method,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Failed(#[from] Failure),
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
            return Err(Rejection::Path);
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

impl Rejection {
    /// The label of a request of which no item was seen.
    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Path => Some("unknown_path"),
            Self::Method => Some("method"),
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Failed(_) => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(refusal) => refusal.status(),
            Self::Failed(failure) if failure.is_permanent() => StatusCode::BAD_REQUEST,
            Self::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Path | Self::Method => None,
            Self::Refused(refusal) => refusal.retry_after(),
            Self::Failed(failure) => match failure.retry {
                Retry::Permanent => None,
                Retry::Backoff => Some(RETRY_AFTER),
                Retry::After(delay) => Some(delay),
            },
        }
    }

    fn response(&self) -> Response<ResponseBody> {
        let mut response = text(self.status(), self.to_string());
        if let Self::Method = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Some(delay) = self.retry_after() {
            // Whole seconds, rounded up.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
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
