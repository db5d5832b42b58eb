//! Prints what the kernel side tells, for a few seconds: `cargo run -p sluice-ebpf --example watch -- 5`. A tier may follow,
//! and after how many milliseconds an exchange that succeeds is told at all.
#![expect(clippy::print_stdout, reason = "it is its purpose")]

use std::time::{Duration, Instant};

use sluice_ebpf::{Programs, Settings, TierChoice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let tier = match std::env::args().nth(2).as_deref() {
        Some("a") => TierChoice::A,
        Some("b") => TierChoice::B,
        _ => TierChoice::Best,
    };
    let remarkable_after = match std::env::args().nth(3) {
        Some(text) => Some(Duration::from_millis(text.parse()?)),
        None => None,
    };
    let mut programs = Programs::load(&Settings { tier, remarkable_after, ..Settings::default() })?;
    println!("{:?}", programs.report());
    for connection in programs.take_existing() {
        println!("existing {connection:?}");
    }
    let mut reader = programs.take_reader().ok_or("the reader is taken once")?;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        reader.wait(Duration::from_millis(50));
        reader.drain(usize::MAX, |event| println!("{event:?}"));
    }
    println!("lost: {:?}", programs.take_losses().map(|losses| losses.read()));
    Ok(())
}
