//! Programs that are right.

mod common;

use common::{PAGE_PROGRAMS, all_programs, parse_ok};

#[test]
fn every_program_parses() {
    let programs = all_programs();
    assert!(programs.len() >= PAGE_PROGRAMS.len());
    for (name, text) in programs {
        let file = parse_ok(&name, &text);
        assert!(!file.items.is_empty(), "{name} has no items");
    }
}

#[test]
fn trees_of_the_page() {
    for (name, text) in PAGE_PROGRAMS {
        insta::assert_snapshot!(format!("tree_{name}"), parse_ok(name, text).dump());
    }
}
