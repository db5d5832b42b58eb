//! HTTP and TCP metrics for each pair of processes.
