//! What commands print, and the codes with which they exit.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// A command that failed; its text is printed after `Error: `.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The configuration is wrong: every problem, located.
    #[error("the configuration is wrong\n{0}")]
    Configuration(String),
    /// The service could not start.
    #[error(transparent)]
    Service(#[from] sluice_pipeline::graph::ServiceError),
    /// Something that a command does besides.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, to what.
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
    /// The drain did not end in time, or lost data.
    #[error("stopped without having handed on everything: {0}")]
    Lost(String),
    /// A second signal ended the drain.
    #[error("stopped before everything was handed on, as a second signal asked")]
    Interrupted,
}

impl CommandError {
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }
}

/// Prints to standard output. A reader that has left (`sluice schema | head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::io("cannot write to standard output", error))
        }
        _ => Ok(()),
    }
}

/// Prints to standard error, where failing has nowhere to be told.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

pub(crate) fn exit_code(result: Result<(), CommandError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {}\n", error.to_string().trim_end()));
            match error {
                CommandError::Interrupted => ExitCode::from(3),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
