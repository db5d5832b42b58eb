//! What exporters share: time-outs, retries, the sending queue.
