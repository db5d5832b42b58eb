//! What HTTP servers and clients share.
