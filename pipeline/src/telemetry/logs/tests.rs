use std::fs;

use tracing::{debug, info};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[test]
fn other_settings_take_effect_on_lines_that_were_off_before() {
    let directory = tempfile::tempdir().unwrap();
    let settings = |name: &str, level, encoding| LogSettings {
        level,
        encoding,
        outputs: vec![directory.path().join(name).display().to_string()],
        ..LogSettings::default()
    };
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    let first = Writing::new(&settings("first", LevelFilter::INFO, LogEncoding::Console)).unwrap();
    let current = Arc::new(ArcSwap::from_pointee(first));
    let logs = Logs { current: Arc::clone(&current) };
    tracing::subscriber::with_default(Registry::default().with(LogLayer { current }), || {
        let speak = || {
            debug!("quiet");
            info!("loud");
        };
        speak();
        logs.change(Logs::prepare(&settings("second", LevelFilter::DEBUG, LogEncoding::Json)).unwrap());
        speak();
    });
    assert!(read("first").contains("loud") && !read("first").contains("quiet"), "{}", read("first"));
    let second = read("second");
    assert_eq!(second.lines().count(), 2, "{second}");
    assert!(second.lines().all(|line| line.starts_with('{')), "{second}");
    assert!(Logs::prepare(&settings("no/such/directory", LevelFilter::INFO, LogEncoding::Json)).is_err());
}
