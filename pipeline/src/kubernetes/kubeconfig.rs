//! Files like `~/.kube/config`: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::access::{Access, Token};
use crate::{
    component::BuildError,
    config::{Node, Problems, Value, parse},
    tls::ClientTlsConfig,
};

/// The largest file that is read.
const LIMIT: u64 = 4 << 20;

impl Access {
    /// By a kubeconfig file: `path`, else what `KUBECONFIG` names, else `~/.kube/config`. `context` empty means the
    /// current one. Programs that make credentials are not run.
    ///
    /// # Errors
    /// The file cannot be read, or names something that cannot be used; `key` is the setting to blame.
    pub fn kubeconfig(path: &str, context: &str, key: &str) -> Result<Self, BuildError> {
        let path = place(path);
        let failed = |reason: String| {
            BuildError::setting(key, format!("kubeconfig file {}: {reason}", path.display()))
        };
        let size = fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
        if size > LIMIT {
            return Err(failed(format!("it is larger than {LIMIT} bytes")));
        }
        let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let mut problems = Problems::default();
        let Some(root) = parse("kubeconfig", &text, &mut problems).filter(|_| !problems.has_errors()) else {
            // What was read is not shown: it holds secrets.
            return Err(failed("it is not YAML".to_owned()));
        };
        File { root: &root, directory: path.parent().unwrap_or(Path::new("")), key }
            .access(context)
            .map_err(failed)
    }
}

fn place(path: &str) -> PathBuf {
    let home = || PathBuf::from(env::var("HOME").unwrap_or_default());
    if let Some(below) = path.strip_prefix("~/") {
        return home().join(below);
    }
    if !path.is_empty() {
        return path.into();
    }
    // Of a list of files, which would be merged, the first that is there.
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
    let mut listed = env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
    listed.find(|path| path.exists()).unwrap_or_else(|| home().join(".kube/config"))
}

struct File<'a> {
    root: &'a Node,
    directory: &'a Path,
    key: &'a str,
}

impl File<'_> {
    fn access(&self, context: &str) -> Result<Access, String> {
        let current = self.root.get("current-context").and_then(Node::as_text).unwrap_or_default();
        let name = if context.is_empty() { current } else { context };
        if name.is_empty() {
            return Err("it has no current-context; set context".to_owned());
        }
        let context = self.named("contexts", "context", name)?;
        let text = |key: &str| context.get(key).and_then(Node::as_text).unwrap_or_default();
        let cluster = self.named("clusters", "cluster", text("cluster"))?;
        let mut tls = self.cluster_tls(cluster)?;
        let server = cluster.get("server").and_then(Node::as_text).unwrap_or_default();
        if server.is_empty() {
            return Err(format!("the cluster {:?} has no server", text("cluster")));
        }
        if cluster.get("proxy-url").is_some() {
            return Err("proxy-url of a cluster is not in this build".to_owned());
        }
        let mut token = Token::None;
        if !text("user").is_empty() {
            let user = self.named("users", "user", text("user"))?;
            token = self.token(user)?;
            self.client_certificate(user, &mut tls)?;
        }
        if token != Token::None && !server.to_ascii_lowercase().starts_with("https://") {
            return Err("a token would go over a connection that is not encrypted; use https://".to_owned());
        }
        Ok(Access {
            server: server.trim_end_matches('/').to_owned(),
            token,
            tls,
            key: self.key.to_owned(),
            token_key: self.key.to_owned(),
        })
    }

    /// What is under `inner` in the entry of this name.
    fn named(&self, list: &str, inner: &str, name: &str) -> Result<&Node, String> {
        let entries = self.root.get(list).and_then(Node::as_sequence).unwrap_or_default();
        let is_it = |entry: &&Node| entry.get("name").and_then(Node::as_text) == Some(name);
        let entry = entries.iter().find(is_it).and_then(|entry| entry.get(inner));
        entry.ok_or_else(|| format!("{list} has no entry {name:?} with a {inner}"))
    }

    fn cluster_tls(&self, cluster: &Node) -> Result<ClientTlsConfig, String> {
        let is_true = |key: &str| matches!(cluster.get(key), Some(Node { value: Value::Bool(true), .. }));
        let ca_pem = data(cluster, "certificate-authority-data")?;
        Ok(ClientTlsConfig {
            ca_file: self.file(cluster, "certificate-authority").filter(|_| ca_pem.is_none()),
            ca_pem,
            insecure_skip_verify: is_true("insecure-skip-tls-verify"),
            server_name_override: cluster.get("tls-server-name").and_then(Node::as_text).map(str::to_owned),
            ..ClientTlsConfig::default()
        })
    }

    fn token(&self, user: &Node) -> Result<Token, String> {
        for (key, instead) in [
            ("exec", "the program is not run; use a token, tokenFile or client-certificate"),
            ("auth-provider", "use a token, tokenFile or client-certificate"),
            ("username", "API servers no longer take passwords; use a token"),
        ] {
            if user.get(key).is_some() {
                return Err(format!("{key} of a user is not in this build; {instead}"));
            }
        }
        // As kubectl has it: the file wins.
        if let Some(file) = self.file(user, "tokenFile") {
            return Ok(Token::File(file));
        }
        Ok(user
            .get("token")
            .and_then(Node::as_text)
            .filter(|token| !token.is_empty())
            .map_or(Token::None, |token| Token::Text(token.into())))
    }

    fn client_certificate(&self, user: &Node, tls: &mut ClientTlsConfig) -> Result<(), String> {
        tls.cert_pem = data(user, "client-certificate-data")?;
        tls.cert_file = self.file(user, "client-certificate").filter(|_| tls.cert_pem.is_none());
        tls.key_pem = data(user, "client-key-data")?.map(Into::into);
        tls.key_file = self.file(user, "client-key").filter(|_| tls.key_pem.is_none());
        Ok(())
    }

    /// A file, which stands relative to this one.
    fn file(&self, node: &Node, key: &str) -> Option<String> {
        let path = node.get(key).and_then(Node::as_text).filter(|path| !path.is_empty())?;
        Some(self.directory.join(path).display().to_string())
    }
}

/// What is there in base64. Its text stays out of errors.
fn data(node: &Node, key: &str) -> Result<Option<String>, String> {
    let Some(text) = node.get(key).and_then(Node::as_text).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Some).ok_or_else(|| format!("{key} is not base64 of PEM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
current-context: one
contexts:
  - {name: one, context: {cluster: here, user: me}}
  - {name: two, context: {cluster: there, user: program}}
  - {name: three, context: {cluster: plain, user: me}}
clusters:
  - {name: here, cluster: {server: 'https://10.0.0.1:6443/', certificate-authority-data: UEVN, tls-server-name: kubernetes}}
  - {name: there, cluster: {server: 'https://10.0.0.2', insecure-skip-tls-verify: true}}
  - {name: plain, cluster: {server: 'http://10.0.0.3'}}
users:
  - {name: me, user: {token: very-secret, client-certificate: me.crt, client-key-data: S0VZ}}
  - {name: program, user: {exec: {command: aws}}}
";

    fn read(text: &str, context: &str) -> Result<Access, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, text).unwrap();
        let access = Access::kubeconfig(&path.display().to_string(), context, "auth_type");
        access.map_err(|error| error.to_string()).map(|mut access| {
            let file = access.tls.cert_file.take();
            assert_eq!(file, Some(directory.path().join("me.crt").display().to_string()));
            access
        })
    }

    #[test]
    fn server_authority_token_and_certificate_are_found() {
        let access = read(FILE, "").unwrap();
        assert_eq!(access.server, "https://10.0.0.1:6443");
        assert_eq!(access.token, Token::Text("very-secret".into()));
        assert_eq!(access.tls.ca_pem.as_deref(), Some("PEM"));
        assert_eq!(access.tls.server_name_override.as_deref(), Some("kubernetes"));
        assert_eq!(access.tls.key_pem.as_ref().unwrap().expose(), "KEY");
        assert!(!format!("{access:?}").contains("very-secret"));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_its_secrets() {
        for (text, context, expected) in [
            (FILE.to_owned(), "two", "exec of a user is not in this build"),
            (FILE.to_owned(), "three", "not encrypted"),
            (FILE.to_owned(), "none", "contexts has no entry \"none\""),
            (FILE.replace("current-context: one", ""), "", "no current-context"),
            (FILE.replace("UEVN", "very-secret!"), "", "certificate-authority-data is not base64"),
            (FILE.replace("https://10.0.0.1:6443/", ""), "", "has no server"),
            ("very-secret: [".to_owned(), "", "not YAML"),
        ] {
            let error = read(&text, context).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(error.starts_with("auth_type: kubeconfig file /"), "{error}");
            assert!(!error.contains("very-secret"), "{error}");
        }
        let missing = Access::kubeconfig("/nowhere/config", "", "auth_type").unwrap_err().to_string();
        assert!(missing.contains("/nowhere/config: No such file"), "{missing}");
    }
}
