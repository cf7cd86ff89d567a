//! The memory tier holds its bound: ten times as much is put there, and the process is looked at.

use std::process::Stdio;

use tokio::process::Command;
use turnpike_shared::cache::{CacheStatus, Mode};

use super::ground::{Ground, Work, key, user};

/// What the tier may hold in this test.
const BOUND: u64 = 32 * 1024 * 1024;
/// How large an entry is.
const ENTRY: usize = 1024 * 1024;
/// In front of the answer of the process that is filled.
const ANSWER: &str = "resident KiB before and after: ";

/// The memory of this process that is in use, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
async fn ten_times_the_bound_does_not_grow_the_process_beyond_it() {
    let (_, module) = module_path!().split_once("::").expect("behind the crate");
    let filled = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(format!("{module}::the_filled_process"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();

    let output = filled.await.unwrap();

    let output = String::from_utf8(output.stdout).unwrap();
    let (_, answer) = output.split_once(ANSWER).expect("it answers");
    let (before, after) = answer.lines().next().unwrap().split_once(' ').unwrap();
    let grown = after.parse::<u64>().unwrap() - before.parse::<u64>().unwrap();
    // The bound, and twice as much for the allocator, the table's client and what is on its way; without a
    // bound it would be ten times as much.
    assert!(grown < 3 * BOUND / 1024, "it grew by {grown} KiB");
    assert!(grown > BOUND / 1024 / 2, "it was filled: {grown} KiB");
}

#[tokio::test]
#[ignore = "it is the process of the test above, which looks at its memory"]
#[expect(clippy::print_stdout, reason = "this is how it answers")]
async fn the_filled_process() {
    let ground = Ground::plain().await;
    let mut making = ground.making();
    making.settings.memory_bytes = BOUND;
    let instance = ground.instance_as(making).await;
    let entries = 10 * usize::try_from(BOUND).unwrap() / ENTRY;
    // The database is a part of this process too, and holds these in a few hundred bytes.
    let pattern: Vec<u8> = (0..ENTRY)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect();
    let key_of = |number: usize| {
        let mut key = key(user(1), 0);
        key.digest[..8].copy_from_slice(&number.to_be_bytes());
        key
    };
    instance.get(&key_of(usize::MAX), &Work::new("warm")).await;
    let before = resident();

    for number in 0..entries {
        let mut work = Work::new(pattern.clone());
        work.value[0] = u8::try_from(number % 256).unwrap();
        let answer = instance
            .get_now(&key_of(number), Mode::Default, &work)
            .await;
        assert_eq!(answer.status, CacheStatus::Miss);
        instance.afterwards.done().await;
    }

    println!("{ANSWER}{before} {}", resident());
}
