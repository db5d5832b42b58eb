//! The extension as exporters use it, on a real disk.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use sluice_pipeline::{
    Batch, Chunk, Context, Failure, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, DurableQueue, QueueOwner, QueueUsage},
};
use tokio::time::timeout;

use super::*;

/// A running extension.
struct Storing(Box<dyn Extension>);

impl Storing {
    async fn start(config: FileStorageConfig) -> Self {
        let component = ComponentContext::detached("file_storage", Budget::new(1 << 30));
        let mut extension = FileStorage::build(config, ExtensionContext { component }).unwrap();
        extension.start(Listeners::default()).await.unwrap();
        Self(extension)
    }

    async fn queue(&self, id: &str) -> Arc<dyn DurableQueue> {
        let storage = self.0.capabilities().storage.unwrap();
        storage.queue(QueueOwner { id: id.parse().unwrap(), signal: Signal::Traces }).await.unwrap()
    }

    async fn stop(mut self) {
        self.0.stop(Instant::now() + Duration::from_secs(10)).await;
    }
}

fn in_directory(directory: &Path) -> FileStorageConfig {
    FileStorageConfig { directory: directory.to_owned(), ..FileStorageConfig::default() }
}

fn batch(id: u32, size: usize) -> Batch {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.resize(size, 7);
    Batch::new(Signal::Traces, Chunk::new(Bytes::from(bytes), 3), Context::default())
}

fn id(batch: &Batch) -> u32 {
    u32::from_le_bytes(*batch.contiguous().first_chunk().unwrap())
}

/// The next so many.
async fn take(queue: &dyn DurableQueue, count: usize) -> Vec<(u64, Batch)> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(timeout(Duration::from_secs(20), queue.next()).await.expect("there is a batch"));
    }
    taken
}

async fn is_empty(queue: &dyn DurableQueue) -> bool {
    timeout(Duration::from_millis(200), queue.next()).await.is_err()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let queue = directory.join("exporter_otlp_traces.queue");
    let names = fs::read_dir(queue).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|ending| ending == "segment")).collect()
}

#[tokio::test]
async fn a_clean_restart_repeats_nothing_and_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    for number in 0..10 {
        queue.append(batch(number, 100)).await.unwrap();
    }
    for (number, batch) in take(&*queue, 7).await {
        if id(&batch).is_multiple_of(2) {
            queue.settle(number, &Reply::Delivered).await.unwrap();
        }
    }
    assert_eq!(queue.usage().requests, 6, "0, 2, 4 and 6 are done with");
    assert_eq!(queue.usage().items, 18);
    drop(queue);
    storing.stop().await;

    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    let mut left: Vec<u32> = take(&*queue, 6).await.iter().map(|(_, batch)| id(batch)).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 3, 5, 7, 8, 9]);
    assert!(is_empty(&*queue).await);
    drop(queue);
    storing.stop().await;
}

#[tokio::test]
async fn what_is_delivered_gives_its_space_back() {
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    queue.append(batch(1, 1000)).await.unwrap();
    assert_eq!(segments(place.path()).len(), 1);
    let (number, _) = take(&*queue, 1).await.remove(0);
    queue.settle(number, &Failure::permanent("no").into()).await.unwrap();
    assert_eq!(queue.usage(), QueueUsage::default());
    drop(queue);
    storing.stop().await;
    assert_eq!(segments(place.path()), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_syncs_and_all_are_answered() {
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    let appends = (0..64).map(|number| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.append(batch(number, 5_000)).await })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    let mut ids: Vec<u32> = take(&*queue, 64).await.iter().map(|(_, batch)| id(batch)).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..64).collect::<Vec<_>>());
    drop(queue);
    storing.stop().await;
}

/// More than may wait in memory: the rest is read from the disk, in order, and each once.
#[tokio::test]
async fn a_backlog_larger_than_memory_is_read_from_the_disk() {
    const COUNT: u32 = 96;
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    for number in 0..COUNT {
        queue.append(batch(number, 1 << 20)).await.unwrap();
    }
    assert!(segments(place.path()).len() >= 3, "of 32 MiB each");
    let mut seen = Vec::new();
    for _ in 0..COUNT {
        let (number, batch) = take(&*queue, 1).await.remove(0);
        assert_eq!(batch.bytes(), 1 << 20);
        seen.push(id(&batch));
        queue.settle(number, &Reply::Delivered).await.unwrap();
    }
    assert_eq!(seen, (0..COUNT).collect::<Vec<_>>());
    assert!(is_empty(&*queue).await);
    drop(queue);
    storing.stop().await;
    assert_eq!(segments(place.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_one_exporter_leaves_the_next_is_given() {
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let old = storing.queue("otlp").await;
    old.append(batch(1, 10)).await.unwrap();
    old.append(batch(2, 10)).await.unwrap();
    let taken = take(&*old, 2).await;
    let new = storing.queue("otlp").await;
    assert!(is_empty(&*new).await, "the old one may still deliver them");
    old.settle(taken[0].0, &Reply::Delivered).await.unwrap();
    drop(old);
    assert_eq!(id(&take(&*new, 1).await[0].1), 2);
    assert!(is_empty(&*new).await);
    drop(new);
    let again = storing.queue("otlp").await;
    assert_eq!(id(&take(&*again, 1).await[0].1), 2, "also when the queue was closed in between");
    drop(again);
    storing.stop().await;
}

/// After a reload a second extension may have the directory while the first one's exporters drain.
#[tokio::test]
async fn a_second_extension_waits_for_the_queue_and_not_for_the_directory() {
    let place = tempfile::tempdir().unwrap();
    let first = Storing::start(in_directory(place.path())).await;
    let held = first.queue("otlp").await;
    held.append(batch(1, 10)).await.unwrap();
    let second = Storing::start(FileStorageConfig { fsync: false, ..in_directory(place.path()) }).await;
    let other = second.queue("otlp/other").await;
    other.append(batch(5, 10)).await.unwrap();
    assert!(timeout(Duration::from_millis(200), second.queue("otlp")).await.is_err());
    drop(held);
    first.stop().await;
    let queue = timeout(Duration::from_secs(10), second.queue("otlp")).await.unwrap();
    assert_eq!(id(&take(&*queue, 1).await[0].1), 1);
    drop((queue, other));
    second.stop().await;
}

#[tokio::test]
async fn what_is_too_old_is_given_up() {
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    queue.append(batch(1, 10)).await.unwrap();
    drop(queue);
    storing.stop().await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let max_age = Duration::from_millis(20).into();
    let retention = RetentionConfig { max_age, ..RetentionConfig::default() };
    let storing = Storing::start(FileStorageConfig { retention, ..in_directory(place.path()) }).await;
    let queue = storing.queue("otlp").await;
    assert!(is_empty(&*queue).await);
    assert_eq!(queue.usage().requests, 0);
    drop(queue);
    storing.stop().await;
}

#[tokio::test]
async fn what_is_too_much_is_given_up_but_not_what_is_on_its_way() {
    let place = tempfile::tempdir().unwrap();
    let retention = RetentionConfig { max_size_mib: 1, ..RetentionConfig::default() };
    let storing = Storing::start(FileStorageConfig { retention, ..in_directory(place.path()) }).await;
    let queue = storing.queue("otlp").await;
    queue.append(batch(0, 100_000)).await.unwrap();
    let taken = take(&*queue, 1).await;
    for number in 1..20 {
        queue.append(batch(number, 100_000)).await.unwrap();
    }
    let left = queue.usage().requests;
    assert!((8..=11).contains(&left), "a mebibyte has room for ten: {left}");
    let oldest = u32::try_from(20 - (left - 1)).unwrap();
    assert_eq!(id(&take(&*queue, 1).await[0].1), oldest, "the newest are left");
    queue.settle(taken[0].0, &Reply::Delivered).await.unwrap();
    assert_eq!(queue.usage().requests, left - 1);
    drop(queue);
    storing.stop().await;
}

#[tokio::test]
async fn a_closed_storage_refuses_and_does_not_hang() {
    let place = tempfile::tempdir().unwrap();
    let storing = Storing::start(in_directory(place.path())).await;
    let queue = storing.queue("otlp").await;
    storing.stop().await;
    let refused = queue.append(batch(1, 10)).await.unwrap_err();
    assert!(!refused.is_permanent(), "{refused}");
}
