//! The log on the simulated disk: what it does, step by step, and a model of everything that can happen to it.

mod model;

use super::{append::describe, format::SegmentName, *};
use crate::file_storage::disk::simulated::{Faults, Idle, SimulatedDisk};

const SETTINGS: Settings = Settings { segment_size: 1 << 10, sync: true };

fn open(disk: &SimulatedDisk) -> Log<SimulatedDisk> {
    let mut log = Log::open(disk.clone(), SETTINGS).unwrap();
    while log.is_surveying() {
        log.survey(100);
    }
    log
}

fn restart(log: Log<SimulatedDisk>, disk: &SimulatedDisk) -> Log<SimulatedDisk> {
    drop(log);
    disk.end_process();
    open(disk)
}

/// A record whose payload says which one it is, `size` bytes long.
fn payload(id: u32, size: usize) -> Vec<u8> {
    let mut payload = id.to_le_bytes().to_vec();
    payload.resize(size.max(4), u8::try_from(id % 251).unwrap());
    payload
}

fn append(log: &mut Log<SimulatedDisk>, payloads: &[Vec<u8>]) -> Result<(), AppendError> {
    let records: Vec<Record<'_>> = payloads
        .iter()
        .map(|payload| Record { payload: vec![payload], items: 2, bytes: 10, appended_at: 7 })
        .collect();
    log.append(&records, 0).map(|_| ())
}

fn read_all(log: &mut Log<SimulatedDisk>) -> Vec<Read> {
    std::iter::from_fn(|| log.read()).collect()
}

fn payloads(reads: &[Read]) -> Vec<Vec<u8>> {
    reads.iter().map(|read| read.payload.clone()).collect()
}

/// What the disk holds, by name.
fn files(disk: &SimulatedDisk, ending: &str) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(ending)).collect()
}

#[test]
fn records_come_back_in_order_over_segments() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    let all: Vec<Vec<u8>> = (0..20).map(|id| payload(id, 200)).collect();
    for one in &all {
        append(&mut log, std::slice::from_ref(one)).unwrap();
    }
    assert!(files(&disk, ".segment").len() > 3, "segments of 1 KiB");
    assert_eq!(log.held(), Held { records: 20, items: 40, bytes: 200, stored: 20 * 256 });
    assert_eq!(payloads(&read_all(&mut log)), all);
    let mut log = restart(log, &disk);
    assert_eq!(log.held().records, 20);
    assert_eq!(payloads(&read_all(&mut log)), all, "what was not settled is read again");
}

#[test]
fn what_is_scanned_is_read_while_the_rest_is_not() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    let all: Vec<Vec<u8>> = (0..20).map(|id| payload(id, 200)).collect();
    for one in &all {
        append(&mut log, std::slice::from_ref(one)).unwrap();
    }
    drop(log);
    disk.end_process();
    let mut log = Log::open(disk.clone(), SETTINGS).unwrap();
    assert!(log.is_surveying());
    log.survey(300);
    let early = read_all(&mut log);
    assert!((1..5).contains(&early.len()), "{}", early.len());
    append(&mut log, &[payload(20, 10)]).unwrap();
    log.settle(early[0].number, Outcome::Delivered);
    while log.is_surveying() {
        log.survey(300);
    }
    assert_eq!(log.held().records, 20);
    let late = read_all(&mut log);
    assert_eq!(payloads(&early).into_iter().chain(payloads(&late)).collect::<Vec<_>>()[..20], all);
    assert_eq!(late.last().unwrap().payload, payload(20, 10));
}

#[test]
fn one_sync_serves_all_that_are_appended_together() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    append(&mut log, &[payload(0, 10)]).unwrap();
    let before = disk.syncs();
    append(&mut log, &(1..9).map(|id| payload(id, 10)).collect::<Vec<_>>()).unwrap();
    assert_eq!(disk.syncs() - before, 1);
}

#[test]
fn a_clean_restart_repeats_nothing() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    append(&mut log, &(0..10).map(|id| payload(id, 100)).collect::<Vec<_>>()).unwrap();
    for read in read_all(&mut log).into_iter().filter(|read| read.number.is_multiple_of(2)) {
        log.settle(read.number, Outcome::Delivered);
    }
    log.checkpoint().unwrap();
    let mut log = restart(log, &disk);
    assert_eq!(log.held().records, 5);
    assert_eq!(payloads(&read_all(&mut log)), [0, 2, 4, 6, 8].map(|id| payload(id, 100)));
}

#[test]
fn settled_segments_are_removed_with_all_that_belongs_to_them() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    for id in 0..20 {
        append(&mut log, &[payload(id, 200)]).unwrap();
    }
    for read in read_all(&mut log) {
        log.settle(read.number, Outcome::Delivered);
    }
    log.checkpoint().unwrap();
    log.leave_empty_tail();
    assert!(log.reclaim().unwrap());
    assert_eq!(disk.list().unwrap(), Vec::<String>::new());
    assert_eq!(log.held(), Held::default());
    append(&mut log, &[payload(21, 9)]).unwrap();
    assert_eq!(payloads(&read_all(&mut log)), [payload(21, 9)]);
}

#[test]
fn a_record_handed_over_directly_is_not_read_again() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    let (one, two) = (payload(1, 10), payload(2, 10));
    let records = [&one, &two].map(|payload| Record { payload: vec![&payload[..]], ..Record::default() });
    let numbers = log.append(&records, 1).unwrap();
    assert!(numbers[0].is_some() && numbers[1].is_none(), "only one was wanted");
    assert_eq!(payloads(&read_all(&mut log))[..], *std::slice::from_ref(&two));
    log.give_back(numbers.into_iter().flatten());
    assert_eq!(payloads(&read_all(&mut log))[..], *std::slice::from_ref(&one), "given back, it is");
}

#[test]
fn a_straggler_does_not_keep_its_segment() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    for id in 0..12 {
        append(&mut log, &[payload(id, 200)]).unwrap();
    }
    let mut reads = read_all(&mut log);
    let stuck = reads.remove(1);
    for read in reads {
        log.settle(read.number, Outcome::Delivered);
    }
    let first = files(&disk, ".segment")[0].clone();
    while log.move_stragglers().unwrap() {
        log.reclaim().unwrap();
    }
    assert!(!files(&disk, ".segment").contains(&first));
    assert_eq!(log.held().records, 1);
    assert_eq!(read_all(&mut log), [], "it is still on its way and not read a second time");
    let mut log = restart(log, &disk);
    let again = read_all(&mut log);
    assert_eq!(payloads(&again), [stuck.payload]);
    assert_eq!(again[0].appended_at, 7, "it is as old as it was");
}

#[test]
fn a_damaged_record_is_skipped_and_counted_and_its_neighbours_are_read() {
    for offset in [0, 5, 20, 44, 48, 60, 100] {
        let disk = SimulatedDisk::new(1);
        let mut log = open(&disk);
        let settings_room = (0..3).map(|id| payload(id, 100)).collect::<Vec<_>>();
        append(&mut log, &settings_room).unwrap();
        drop(log);
        disk.end_process();
        let name = files(&disk, ".segment")[0].clone();
        let mut content = disk.content(&name);
        // The second record: the header block and three blocks of the first lie before it.
        content[64 + 192 + offset] ^= 0x10;
        disk.put(&name, &content);
        let mut log = open(&disk);
        assert_eq!(payloads(&read_all(&mut log)), [payload(0, 100), payload(2, 100)], "byte {offset}");
        let losses = log.take_losses();
        assert_eq!(losses.len(), 1, "byte {offset}: {losses:?}");
        let expected = if offset < 48 { LossReason::CorruptHeader } else { LossReason::CorruptPayload };
        assert_eq!(losses[0].reason, expected, "byte {offset}");
        assert_eq!(disk.content(&name), content, "nothing is removed from it");
    }
}

/// What a payload holds that looks like a record is no record, even where the one around it is damaged.
#[test]
fn a_record_within_a_payload_is_never_read() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    let forged_name = SegmentName { id: 1, salt: 12345 };
    let record = Record { payload: vec![b"forged"], ..Record::default() };
    let mut forged = vec![0; 16];
    forged.extend_from_slice(&describe(&record, 2).unwrap().encode(forged_name));
    forged.extend_from_slice(b"forged");
    forged.resize(300, 0);
    append(&mut log, &[forged, payload(1, 10)]).unwrap();
    drop(log);
    disk.end_process();
    let name = files(&disk, ".segment")[0].clone();
    let mut content = disk.content(&name);
    content[64] ^= 1;
    disk.put(&name, &content);
    assert_eq!(payloads(&read_all(&mut open(&disk))), [payload(1, 10)]);
}

#[test]
fn a_torn_tail_is_cut_off() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    append(&mut log, &[payload(0, 100), payload(1, 100)]).unwrap();
    drop(log);
    disk.end_process();
    let name = files(&disk, ".segment")[0].clone();
    let content = disk.content(&name);
    for length in 64 + 192 + 1..64 + 192 + 192 - 1 {
        disk.put(&name, &content[..length]);
        let mut log = open(&disk);
        assert_eq!(payloads(&read_all(&mut log)), [payload(0, 100)], "{length}");
        assert_eq!(log.take_losses()[0].reason, LossReason::TornTail);
        assert_eq!(disk.content(&name).len(), 64 + 192);
        drop(log);
        disk.end_process();
    }
}

#[test]
fn a_file_whose_sync_failed_is_never_used_again() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    append(&mut log, &[payload(0, 10)]).unwrap();
    disk.fail(Faults { syncs: 1, ..Faults::default() });
    assert!(matches!(append(&mut log, &[payload(1, 10), payload(2, 10)]), Err(AppendError::Sync(_))));
    append(&mut log, &[payload(3, 10)]).unwrap();
    assert_eq!(files(&disk, ".segment").len(), 2);
    assert_eq!(payloads(&read_all(&mut log)), [payload(0, 10), payload(3, 10)]);
}

#[test]
fn a_full_disk_refuses_and_recovers_in_the_same_segment() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    append(&mut log, &[payload(0, 10)]).unwrap();
    disk.fail(Faults { writes: 1, full: true, ..Faults::default() });
    assert!(matches!(append(&mut log, &[payload(1, 100)]), Err(AppendError::Full(_))));
    append(&mut log, &[payload(2, 100)]).unwrap();
    assert_eq!(files(&disk, ".segment").len(), 1);
    assert_eq!(payloads(&read_all(&mut log)), [payload(0, 10), payload(2, 100)]);
    let mut log = restart(log, &disk);
    assert_eq!(payloads(&read_all(&mut log)), [payload(0, 10), payload(2, 100)]);
}

#[test]
fn what_is_too_old_or_too_much_is_given_up_oldest_first() {
    let disk = SimulatedDisk::new(1);
    let mut log = open(&disk);
    for id in 0..10_u32 {
        let payload = payload(id, 100);
        let appended_at = u64::from(id);
        log.append(&[Record { payload: vec![&payload], items: 3, bytes: 1, appended_at }], 0).unwrap();
    }
    log.drop_oldest(Outcome::Expired, |_, header| header.appended_at < 4);
    log.drop_oldest(Outcome::Evicted, |held, _| held.stored > 3 * 192);
    assert_eq!(
        log.take_losses(),
        [
            Loss { reason: LossReason::Expired, records: 4, items: 12 },
            Loss { reason: LossReason::Evicted, records: 3, items: 9 }
        ]
    );
    assert_eq!(log.oldest(), Some(7));
    assert_eq!(payloads(&read_all(&mut log)), [7, 8, 9].map(|id| payload(id, 100)));
    log.checkpoint().unwrap();
    let log = restart(log, &disk);
    assert_eq!(log.held().records, 3);
}

#[test]
fn foreign_files_and_newer_segments_are_refused_and_left_alone() {
    let disk = SimulatedDisk::new(1);
    disk.put("0000000000000001-0000000000000002.settled", b"x");
    disk.put("notes.txt", b"mine");
    let Err(error) = Log::open(disk.clone(), SETTINGS) else { panic!("it opened") };
    assert!(matches!(&error, OpenError::Foreign(name) if name == "notes.txt"), "{error}");
    assert_eq!(disk.list().unwrap().len(), 2, "not even what would be cleaned away is touched");

    let disk = SimulatedDisk::new(1);
    let name = SegmentName { id: 3, salt: 4 };
    let mut header = name.header();
    header[8] = 9;
    let checksum = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&checksum.to_le_bytes());
    disk.put(&name.segment(), &header);
    let Err(error) = Log::open(disk.clone(), SETTINGS) else { panic!("it opened") };
    assert!(matches!(error, OpenError::Newer { version: 9, .. }), "{error}");
}

/// A directory that failed to sync, and then a power cut, may bring back a segment whose id was given again.
#[test]
fn two_segments_of_one_id_are_both_read() {
    let disk = SimulatedDisk::new(1);
    for number in [1, 2] {
        let one = SimulatedDisk::new(u64::from(number));
        let mut log = open(&one);
        append(&mut log, &[payload(number, 100)]).unwrap();
        let name = files(&one, ".segment")[0].clone();
        disk.put(&name, &one.content(&name));
    }
    let mut log = open(&disk);
    let mut read = payloads(&read_all(&mut log));
    read.sort();
    assert_eq!(read, [payload(1, 100), payload(2, 100)]);
    append(&mut log, &[payload(3, 100)]).unwrap();
    assert_eq!(payloads(&read_all(&mut log)), [payload(3, 100)]);
}

#[test]
fn the_relaxed_mode_syncs_at_checkpoints() {
    let disk = SimulatedDisk::new(1);
    let mut log = Log::open(disk.clone(), Settings { sync: false, ..SETTINGS }).unwrap();
    append(&mut log, &[payload(0, 10)]).unwrap();
    assert_eq!(disk.syncs(), 0);
    log.checkpoint().unwrap();
    disk.boot();
    assert_eq!(payloads(&read_all(&mut open(&disk))), [payload(0, 10)]);
}
