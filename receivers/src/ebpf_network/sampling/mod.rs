//! Decides which exchanges are sampled, and with how much of their content.
