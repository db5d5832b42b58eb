//! Names of images: `registry.example.com:5000/shop/api:1.2@sha256:…`.

/// An image by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image<'a> {
    /// The name without tag and digest.
    pub(super) repository: &'a str,
    pub(super) tag: Option<&'a str>,
    /// With its algorithm, such as `sha256:`.
    pub(super) digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// The parts of a name; `None` of what is none.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let (rest, digest) = name.split_once('@').map_or((name, None), |(rest, digest)| (rest, Some(digest)));
        // A colon before the last slash is that of a port.
        let colon = rest.rfind(':').filter(|colon| !rest[*colon..].contains('/'));
        let (repository, tag) = match colon {
            Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
            None => (rest, None),
        };
        let is_text = |text: &str| !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_whitespace());
        let is_image = is_text(repository) && tag.is_none_or(is_text) && digest.is_none_or(is_text);
        is_image.then_some(Self { repository, tag, digest })
    }

    /// The version by the image alone: tag, digest, or both.
    pub(super) fn version(&self) -> Option<String> {
        match (self.tag, self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        }
    }
}

/// What runs, by digest, with the registry that is meant where none is named: of `nginx@sha256:…` it is
/// `docker.io/library/nginx@sha256:…`. `None` of an image without a digest.
pub(super) fn canonical(image_id: &str) -> Option<String> {
    let name = image_id.split_once("://").map_or(image_id, |(_, name)| name);
    let Image { repository, tag, digest: Some(digest) } = Image::parse(name)? else { return None };
    let first = repository.split('/').next().unwrap_or_default();
    let has_registry = repository.contains('/')
        && (first.contains(['.', ':'])
            || first == "localhost"
            || first.bytes().any(|it| it.is_ascii_uppercase()));
    let prefix = match (has_registry, repository.contains('/')) {
        (true, _) => "",
        (false, true) => "docker.io/",
        (false, false) => "docker.io/library/",
    };
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    Some(format!("{prefix}{repository}{tag}@{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_repository_tag_and_digest() {
        for (name, repository, tag, version) in [
            ("nginx", "nginx", None, None),
            ("nginx:1.27", "nginx", Some("1.27"), Some("1.27")),
            ("localhost:5000/a/b", "localhost:5000/a/b", None, None),
            ("localhost:5000/a/b:1", "localhost:5000/a/b", Some("1"), Some("1")),
            ("ghcr.io/a/b@sha256:12", "ghcr.io/a/b", None, Some("sha256:12")),
            ("ghcr.io/a/b:1@sha256:12", "ghcr.io/a/b", Some("1"), Some("1@sha256:12")),
        ] {
            let image = Image::parse(name).unwrap();
            assert_eq!((image.repository, image.tag), (repository, tag), "{name}");
            assert_eq!(image.version().as_deref(), version, "{name}");
        }
        for name in ["", ":1", "a:", "a@", "a b"] {
            assert_eq!(Image::parse(name), None, "{name}");
        }
    }

    #[test]
    fn what_runs_is_named_with_its_registry() {
        for (id, expected) in [
            ("docker-pullable://nginx@sha256:12", Some("docker.io/library/nginx@sha256:12")),
            ("a/b@sha256:12", Some("docker.io/a/b@sha256:12")),
            ("ghcr.io/a/b@sha256:12", Some("ghcr.io/a/b@sha256:12")),
            ("sha256:12", None),
            ("", None),
        ] {
            assert_eq!(canonical(id).as_deref(), expected, "{id}");
        }
    }
}
