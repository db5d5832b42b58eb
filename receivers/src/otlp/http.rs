//! OTLP over HTTP: a path for each signal, in protobuf and JSON.

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Response, StatusCode, header};
use sluice_pipeline::{
    Context, Signal,
    grpc::Status,
    http::{
        Refusal, ResponseBody,
        server::{Content, Handler, IncomingRequest},
        text,
    },
    otlp::json,
};

use super::{
    answer::{Format, http_status, refused, taken},
    config::Paths,
    intake::{Intake, Message, Partial},
};

/// Answers the requests of the four paths, as far as a pipeline takes their signal.
pub(super) struct Http {
    paths: [(Signal, String); 4],
    intake: Intake,
}

/// Why a request was not taken: at the door, or after it.
enum NotTaken {
    Refused(Refusal),
    Failed(Status),
}

impl Http {
    pub(super) fn new(paths: &Paths, intake: Intake) -> Self {
        Self { paths: paths.all(), intake }
    }

    async fn answer(&self, mut request: IncomingRequest) -> Response<ResponseBody> {
        let (signal, format) = match self.route(&request) {
            Ok(route) => route,
            Err(response) => {
                request.drain().await;
                return *response;
            }
        };
        match self.take(signal, format, &mut request).await {
            Ok(partial) => taken(format, signal, partial.as_ref()),
            Err(NotTaken::Failed(status)) => refused(format, http_status(status.code), &status),
            Err(NotTaken::Refused(refusal)) => {
                self.intake.metrics.refused_request(refusal.reason());
                refused(format, refusal.status(), &Status::from(&refusal))
            }
        }
    }

    /// What a request is about, by its head.
    fn route(&self, request: &IncomingRequest) -> Result<(Signal, Format), Box<Response<ResponseBody>>> {
        let path = request.path();
        let signal = self.paths.iter().find(|(_, known)| known == path).map(|(signal, _)| *signal);
        let Some(signal) = signal.filter(|signal| self.intake.takes(*signal)) else {
            self.intake.metrics.refused_request("unknown_path");
            return Err(text(StatusCode::NOT_FOUND, "404 page not found\n").into());
        };
        if request.head.method != Method::POST {
            self.intake.metrics.refused_request("method");
            let mut response =
                text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return Err(response.into());
        }
        let format = Format::of_content_type(&request.content_type()).ok_or_else(|| {
            self.intake.metrics.refused_request("unsupported_content_type");
            Box::new(text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "415 unsupported media type, supported: [application/json, application/x-protobuf]",
            ))
        })?;
        Ok((signal, format))
    }

    async fn take(
        &self,
        signal: Signal,
        format: Format,
        request: &mut IncomingRequest,
    ) -> Result<Option<Partial>, NotTaken> {
        let content = request.content().await.map_err(NotTaken::Refused)?;
        let context: Context = request.context(None);
        let message = match format {
            Format::Protobuf => {
                Message { bytes: content.bytes, compressed: content.compressed, charge: content.charge }
            }
            Format::Json => decode(signal, content)?,
        };
        self.intake.take(signal, message, context, request.answer_by()).await.map_err(NotTaken::Failed)
    }
}

fn decode(signal: Signal, content: Content) -> Result<Message, NotTaken> {
    let Content { bytes: text, compressed, mut charge } = content;
    drop(compressed);
    let mut bytes = json::decode_charged(signal, &text, &mut charge).map_err(|error| {
        NotTaken::Refused(match error {
            json::DecodeError::Malformed(error) => Refusal::Malformed(error.to_string()),
            json::DecodeError::Exhausted(exhausted) => exhausted.into(),
        })
    })?;
    drop(text);
    if bytes.capacity() - bytes.len() > bytes.len() / 8 {
        bytes.shrink_to_fit();
    }
    Ok(Message { bytes: bytes.into(), compressed: None, charge })
}

impl Handler for Http {
    fn handle(&self, request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(self.answer(request))
    }

    fn refused(&self, reason: &'static str) {
        self.intake.metrics.refused_request(reason);
    }
}
