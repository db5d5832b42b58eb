//! The answer to a call: its status, and its message if it succeeded.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::{
    compression::{Encoding, decompress},
    grpc::{Status, frame},
    reply::Code,
};

/// Reads the answer whole; at most `limit` bytes of it.
pub(super) async fn read(response: Response<Incoming>, limit: usize) -> Result<Bytes, Status> {
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        // gRPC's own status counts where there is one; a proxy in between knows only HTTP.
        return Err(Status::read(&head.headers).unwrap_or_else(|| of_http(head.status)));
    }
    if let Some(status) = Status::read(&head.headers).filter(|status| status.code != Code::Ok) {
        return Err(status);
    }
    let mut bytes = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Status::new(Code::Unavailable, format!("the answer broke off: {error}")))?;
        match frame.into_data() {
            Ok(data) if bytes.len() + data.len() > limit => {
                return Err(Status::new(
                    Code::ResourceExhausted,
                    format!("the answer is longer than {limit} bytes"),
                ));
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    match Status::read(&trailers).or_else(|| Status::read(&head.headers)) {
        Some(status) if status.code == Code::Ok => message(bytes.into(), &head.headers, limit),
        Some(status) => Err(status),
        None => Err(Status::new(Code::Unknown, "the answer has no grpc-status; is it a gRPC server?")),
    }
}

fn message(body: Bytes, headers: &HeaderMap, limit: usize) -> Result<Bytes, Status> {
    let broken = |reason: String| Status::new(Code::Internal, format!("the answer cannot be read: {reason}"));
    let (compressed, message) = frame::message(body).map_err(|error| broken(error.to_string()))?;
    if !compressed {
        return Ok(message);
    }
    let name = headers.get("grpc-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = Encoding::from_name(name)
        .map_err(|error| broken(error.to_string()))?
        .ok_or_else(|| broken("it is marked as compressed, but not how".to_owned()))?;
    let decompressed = decompress(encoding, &message, limit).map_err(|error| broken(error.to_string()))?;
    Ok(decompressed.bytes.into())
}

/// What an HTTP status without a gRPC one means. Source: gRPC, "HTTP to gRPC Status Code Mapping".
fn of_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP status {status}"))
}
