//! The keys of the `basicauth` extension.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::Secret,
};

use super::{client::Credentials, users::Users};
use crate::authenticator::problem;

/// The keys of the `basicauth` extension: `htpasswd` to check clients, or `client_auth` to be one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BasicAuthConfig {
    /// Users whose requests receivers take.
    pub htpasswd: Option<HtpasswdConfig>,
    /// What exporters send.
    pub client_auth: Option<ClientConfig>,
}

/// Users whose requests receivers take, as `htpasswd` writes them: `name:password` a line, the password hashed by bcrypt
/// (`$2y$`), Apache's MD5 (`$apr1$`), SHA-1 (`{SHA}`, `{SSHA}`), or as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HtpasswdConfig {
    /// File with the users. What changes in it holds within a second.
    pub file: String,
    /// Users here, which win over those of the file.
    pub inline: Secret,
}

/// What exporters send.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClientConfig {
    /// The name of the user; without a colon.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// File with the name, in place of `username`. What changes in it holds within a second.
    pub username_file: String,
    /// File with the password, in place of `password`. What changes in it holds within a second.
    pub password_file: String,
    /// Not in this build.
    pub aws_secrets_manager: NotBuilt,
}

impl ComponentConfig for BasicAuthConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.htpasswd, &self.client_auth) {
            (None, None) => {
                problems.push(Problem::at("", "set htpasswd to check clients, or client_auth to be one"));
            }
            (Some(_), Some(_)) => {
                let message = "htpasswd is set as well; use one extension for each side";
                problems.push(Problem::at("client_auth", message));
            }
            (Some(htpasswd), None) if htpasswd.file.is_empty() && htpasswd.inline.is_empty() => {
                problems.push(Problem::at("htpasswd", "there are no users; set file or inline"));
            }
            (Some(htpasswd), None) => problems.extend(problem(Users::inline(htpasswd))),
            (None, Some(client)) => problems.extend(client.problems()),
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        let users = self.htpasswd.as_ref().and_then(|htpasswd| problem(Users::of(htpasswd)));
        let client = self.client_auth.as_ref().and_then(|client| problem(Credentials::of(client)));
        users.into_iter().chain(client).collect()
    }
}

impl ClientConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.username.is_empty() && self.username_file.is_empty() {
            problems
                .push(Problem::at("client_auth.username", "a name is needed; set username or username_file"));
        } else if self.username.contains(':') {
            let message = "a colon ends the name in what is sent (RFC 7617); use one without";
            problems.push(Problem::at("client_auth.username", message));
        }
        if self.password.is_empty() && self.password_file.is_empty() {
            let message = "a password is needed; set password or password_file";
            problems.push(Problem::at("client_auth.password", message));
        }
        self.aws_secrets_manager.report(
            "client_auth.aws_secrets_manager",
            "have the secret mounted and use username_file and password_file",
            &mut problems,
        );
        problems
    }
}
