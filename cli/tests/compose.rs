//! `deploy/compose` and `deploy/Dockerfile`, as far as they can be checked without Docker: what they name is there, fits
//! together, and nothing is open to the network.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sluice_pipeline::config::{Node, Problems, Value, parse};

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Node {
    let mut problems = Problems::default();
    let node = parse(path, &read(path), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    node.unwrap()
}

fn text(node: &Node, path: &str) -> String {
    node.nearest(path).as_text().unwrap_or_else(|| panic!("no text at {path}")).to_owned()
}

fn items(node: &Node, path: &str) -> Vec<Node> {
    node.nearest(path).as_sequence().unwrap_or_else(|| panic!("no list at {path}")).to_vec()
}

/// The services by name.
fn services() -> Vec<(String, Node)> {
    let compose = yaml("compose/compose.yaml");
    let Value::Mapping(services) = &compose.get("services").unwrap().value else { panic!("no services") };
    services.iter().map(|entry| (entry.key.to_string(), entry.value.clone())).collect()
}

/// The port that an address ends with.
fn port(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_else(|| panic!("{address}"))
}

#[test]
fn images_are_of_one_version() {
    let names: Vec<_> = services().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["sluice", "zipkin", "prometheus", "grafana"]);
    let own = format!("sluice:{}", env!("CARGO_PKG_VERSION"));
    for (name, service) in services() {
        let image = text(&service, "image");
        assert!(
            image.rsplit_once(':').is_some_and(|(_, tag)| tag.matches('.').count() == 2),
            "{name}: {image}"
        );
        assert!(name != "sluice" || image == own, "{image}");
    }
}

#[test]
fn nothing_listens_beyond_the_machine_and_nobody_gains_rights() {
    for (name, service) in services() {
        let ports = items(&service, "ports");
        assert!(!ports.is_empty());
        for port in ports {
            assert!(port.as_text().unwrap().starts_with("127.0.0.1:"), "{name}");
        }
        assert_eq!(items(&service, "cap_drop")[0].as_text(), Some("ALL"), "{name}");
        assert_eq!(items(&service, "security_opt")[0].as_text(), Some("no-new-privileges:true"), "{name}");
        for absent in ["privileged", "network_mode", "pid", "cap_add", "user"] {
            assert!(service.get(absent).is_none(), "{name} has {absent}");
        }
    }
}

#[test]
fn what_is_mounted_is_there_and_cannot_be_written() {
    let directory = deploy().join("compose");
    for (name, service) in services() {
        for volume in service.get("volumes").and_then(Node::as_sequence).into_iter().flatten() {
            let [here, there, "ro"] = volume.as_text().unwrap().split(':').collect::<Vec<_>>()[..] else {
                panic!("{name}: {volume:?}")
            };
            assert!(directory.join(here).exists(), "{name}: {here}");
            assert!(there.starts_with('/'), "{name}: {there}");
        }
        if let Some(build) = service.get("build") {
            let context = directory.join(text(build, "context"));
            assert!(context.join(text(build, "dockerfile")).is_file());
        }
    }
}

#[test]
fn sluice_is_configured_for_its_neighbours() {
    let file = deploy().join("compose/sluice.yaml");
    let output =
        Command::new(env!("CARGO_BIN_EXE_sluice")).arg("validate").arg("--config").arg(file).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let config = yaml("compose/sluice.yaml");
    let listens: Vec<u16> = [
        "receivers.otlp.protocols.grpc.endpoint",
        "receivers.otlp.protocols.http.endpoint",
        "receivers.zipkin.endpoint",
        "extensions.health_check.endpoint",
    ]
    .map(|path| port(&text(&config, path)))
    .to_vec();
    let (_, sluice) = services().remove(0);
    let published: Vec<u16> = items(&sluice, "ports").iter().map(|it| port(it.as_text().unwrap())).collect();
    assert_eq!(published, listens);

    let scraped: Vec<String> = items(&yaml("compose/prometheus.yaml"), "scrape_configs")
        .iter()
        .map(|job| text(job, "static_configs.0.targets.0"))
        .collect();
    let own = config.nearest("service.telemetry.metrics.readers.0.pull.exporter.prometheus.port");
    let Value::Integer(own) = own.value else { panic!("no port") };
    let exported = port(&text(&config, "exporters.prometheus.endpoint"));
    assert_eq!(scraped, [format!("sluice:{own}"), format!("sluice:{exported}")]);
    assert_eq!(text(&config, "exporters.zipkin.endpoint"), "http://zipkin:9411/api/v2/spans");
}

#[test]
fn grafana_finds_its_sources_and_dashboards() {
    let (_, grafana) = services().pop().unwrap();
    let volumes = items(&grafana, "volumes");
    let mounted = |there: &str| {
        let volume = volumes.iter().map(|volume| volume.as_text().unwrap()).find(|it| it.contains(there));
        volume.unwrap_or_else(|| panic!("nothing at {there}")).split(':').next().unwrap().to_owned()
    };
    assert_eq!(mounted(":/etc/grafana/provisioning/datasources/"), "./grafana/datasources.yaml");
    assert_eq!(mounted(":/etc/grafana/provisioning/dashboards/"), "./grafana/dashboards.yaml");
    let path = text(&yaml("compose/grafana/dashboards.yaml"), "providers.0.options.path");
    let dashboards = Path::new("compose").join(mounted(&format!(":{path}:")));
    assert_eq!(
        deploy().join(dashboards).canonicalize().unwrap(),
        deploy().join("grafana").canonicalize().unwrap()
    );
    let names: Vec<_> = services().into_iter().map(|(name, _)| name).collect();
    for source in items(&yaml("compose/grafana/datasources.yaml"), "datasources") {
        let url = text(&source, "url");
        let host = url.strip_prefix("http://").and_then(|rest| rest.split(':').next()).unwrap();
        assert!(names.iter().any(|name| name == host), "{url}");
    }
}

#[test]
fn the_image_is_built_of_what_is_there_and_runs_without_rights() {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let of = |word: &str| lines.iter().filter_map(|line| line.strip_prefix(word)).collect::<Vec<_>>();
    let [build, last] = of("FROM ")[..] else { panic!("two stages") };
    let manifest = read("../Cargo.toml");
    let rust =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert_eq!(build, format!("rust:{rust}-slim-trixie AS build"));
    assert_eq!(last, "debian:13-slim", "the release that trixie is: the binary needs its C library");
    assert_eq!(of("USER "), ["65532"]);
    assert!(
        lines.iter().position(|line| *line == "USER 65532")
            > lines.iter().rposition(|line| line.starts_with("RUN "))
    );
    assert_eq!(of("ENTRYPOINT "), ["[\"/usr/bin/sluice\"]"]);

    // What the build needs of the tree is let in: the manifests of all members, and the source of those that it builds.
    let ignored = read("Dockerfile.dockerignore");
    let taken: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for path in &taken {
        assert!(deploy().join("..").join(path).exists(), "{path}");
    }
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    for member in members.split('"').skip(1).step_by(2) {
        let manifest = format!("{member}/Cargo.toml");
        assert!(taken.contains(&member) || taken.contains(&manifest.as_str()), "{member} is left out");
    }
}
