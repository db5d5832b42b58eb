//! HTTP/1.x as it passes by: requests and responses found in what was captured of a connection, and paired.
