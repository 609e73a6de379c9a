//! Levels of use and the screen that shows how full a server is.

use crate::program::{Server, addrd};
use serde_json::Value;

/// A /28 of 13 addresses, of which as many are taken as asked.
fn with_used(server: &Server, network: &str, cidr: &str, used: usize) {
    server.addrd(&format!("network create {network}")).ok();
    server.addrd(&format!("subnet create {network} {cidr}")).ok();
    for number in 0..used {
        server.addrd(&format!("allocate {network} --owner {network}-{number}")).ok();
    }
}

/// The server's levels are 80, 95 and 100 % unless set otherwise: 11 of 13 reach the first.
#[test]
fn a_watch_of_levels_says_which_subnet_reached_what() {
    let server = Server::dev();
    with_used(&server, "blue", "10.0.0.0/28", 0);
    let status = server.addrd("server status -o json").json();
    let from = format!("{}:{}", status["incarnation"], status["position"].as_str().unwrap());
    for number in 0..13 {
        server.addrd(&format!("allocate blue --owner blue-{number}")).ok();
    }
    let watch = format!("watch --kind level --from {from} --limit 2 -o jsonl");
    let told = server.addrd(&watch).ok();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let short = |event: &Value| {
        let level = &event["level"];
        (level["level"].as_u64(), level["before"].as_u64(), level["used"].as_str() == Some("13"))
    };
    assert_eq!(short(&told[0]), (Some(80), Some(0), false), "{told:?}");
    assert_eq!(short(&told[1]), (Some(100), Some(80), true), "{told:?}");
    let people = server.addrd(&format!("watch --kind level --from {from} --limit 2")).ok();
    assert!(people.contains("reached 80 %: 11 of 13"), "{people}");
    assert!(people.contains("reached 100 %: 13 of 13"), "{people}");
}

#[test]
fn top_shows_the_fullest_subnets_first_and_ends_when_told() {
    let server = Server::dev();
    with_used(&server, "blue", "10.0.0.0/28", 3);
    with_used(&server, "green", "10.1.0.0/28", 9);
    let shown = server.addrd("top --once").ok();
    let at = |word: &str| shown.find(word).unwrap_or_else(|| panic!("{word}: {shown}"));
    assert!(at("ready") < at("green") && at("green") < at("blue"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "nothing but text where nobody looks: {shown}");
    assert!(shown.contains("69.2%") && shown.contains("unknown"), "{shown}");
    let frames = server.addrd("top blue --count 3 --every 100ms -o jsonl").ok();
    let frames: Vec<Value> =
        frames.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        assert_eq!(frame["status"]["allocations"], 12, "{frame}");
        assert_eq!(frame["subnets"].as_array().unwrap().len(), 1, "{frame}");
        assert_eq!(frame["subnets"][0]["allocated"], "3", "{frame}");
    }
    assert!(frames[0].get("commits_per_second").is_none());
    assert!(frames[2]["commits_per_second"].is_number());
    for sort in ["growth", "full"] {
        let ids = server.addrd(&format!("top --once --sort {sort} -q")).ok();
        assert_eq!(ids.lines().count(), 4, "these two and those of demo: {ids}");
    }
    server.addrd("top nowhere --once").fails(4);
    server.addrd("top --every 1ms --once").fails(2);
}

#[test]
fn levels_that_do_not_rise_end_the_start_and_say_what_would_do() {
    for levels in ["95,80", "0", "101", "80,80", "1,2,3,4,5,6,7,8,9", "many"] {
        let line = format!("serve --dev --set usage_levels={levels}");
        let told = addrd("127.0.0.1:1", &line).fails(2);
        assert!(told.contains("usage_levels"), "{levels}: {told}");
        assert!(told.contains("expected at most 8 whole numbers from 1 to 100"), "{told}");
    }
}
