//! The README's tour, as a reader pastes it.

use std::path::Path;

use secrecy::ExposeSecret as _;
use tokio::process::Command;
use turnpike_local::Options;

use crate::support::{TestStack, root};

/// The shell lines of the tour, in their order.
fn tour() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let tour = readme
        .split("<!-- tour -->")
        .nth(1)
        .expect("README.md marks its tour");
    let tour = tour.split("<!-- end of tour -->").next().unwrap();
    tour.split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_tour_works_as_it_is_printed() {
    let stack = TestStack::start_as(|options| Options {
        policy: None,
        ..options
    })
    .await;
    let admin = stack.stack.admin.as_ref().unwrap();
    let password = admin.password.as_ref().unwrap().expose_secret();
    let script = tour()
        .replace("http://127.0.0.1:3000", &stack.base)
        .replace("the password that make run printed", password);
    assert!(
        script.matches("curl").count() >= 8,
        "the tour is still a tour"
    );

    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(Path::new(folder.path()))
        .output()
        .await
        .unwrap();

    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("\"email\":\"ada@example.com\""), "{out}");
    assert!(out.contains("\"is_verified\":true"), "{out}");
    for n in 1..=5 {
        assert!(out.contains(&format!("{n}: 200, ")), "{out}");
    }
    assert!(out.contains("6: 429, "), "one too many: {out}");
    assert!(out.contains("\"decision\":\"deny\""), "{out}");
    assert!(out.contains("lifted: 200, \"hour\";r=999"), "{out}");
    assert_queries(&out);
    assert!(out.trim_end().ends_with('}'), "{out}");
    assert!(
        out.lines().last().unwrap().contains("unauthenticated"),
        "the last call is refused: {out}"
    );
}

/// What the tour tells of queries: what is slow and what is fast, what breaks, and that it mends.
fn assert_queries(out: &str) {
    let statuses: Vec<&str> = out
        .split(r#""cache":{"status":""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(statuses, ["miss", "hit", "miss", "miss"], "{out}");
    let seconds: Vec<f64> = out
        .lines()
        .filter_map(|line| line.strip_suffix(" s")?.parse().ok())
        .collect();
    let is_slow: Vec<bool> = seconds.iter().map(|seconds| *seconds >= 0.7).collect();
    assert_eq!(is_slow, [true, false, true, true], "{out}");

    let mut proxied = out.lines().filter(|line| line.starts_with("proxy: "));
    let (first, second) = (proxied.next().unwrap(), proxied.next().unwrap());
    assert!(first.contains("200, turnpike; fwd=uri-miss"), "{first}");
    assert!(second.contains("200, turnpike; hit"), "{second}");

    for line in [
        "love: 502",
        "war: 502",
        "peace: 502",
        "mole: 503",
        "whale: 200",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(out.contains(r#""state":"open""#), "{out}");
    assert!(out.contains(r#""query":"mole","status":200"#), "{out}");
    for line in ["preferences: 201", "content: 201", "known already: 304"] {
        assert!(out.contains(line), "{line}: {out}");
    }
}
