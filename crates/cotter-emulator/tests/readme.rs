//! The tables of the README are those of the code.

use cotter_emulator::{FAULTS, SWITCHES};

#[test]
fn every_switch_and_fault_has_its_row() {
    let readme = include_str!("../README.md").replace('\\', "");
    for switch in SWITCHES {
        let row = format!("| `{}` | `{}` | {} |", switch.name, switch.values, switch.help);
        assert!(readme.contains(&row), "{row}");
    }
    for (name, help) in FAULTS {
        let row = format!("| `{name}` | {help} |");
        assert!(readme.contains(&row), "{row}");
    }
}
