//! gRPC over HTTP/2: unary calls whose messages stay bytes.
