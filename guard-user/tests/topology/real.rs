//! The machine that the tests run on.

use guard_user::host::{EngineTable, ToolTable, find_running};
use guard_user::topology::{Inventory, Memory, MountTable, Roots, Uses, classify};

#[test]
fn this_machine_can_be_read() {
    let roots = Roots::host();
    // A container may hide block devices, not the directory.
    let Ok(inventory) = Inventory::scan(&roots) else {
        return;
    };
    let mut uses = Uses::of_host(&roots, &inventory).unwrap();
    for process in find_running(&roots, &EngineTable::built_in()) {
        uses.add_process(&process);
    }
    let verdicts = classify(&inventory, &uses, &Memory::default());
    for device in inventory.devices() {
        let mounted = uses
            .mounts
            .iter()
            .any(|mount| mount.location.dev == device.dev);
        let verdict = verdicts
            .get(guard_abi::DeviceKey::block(device.dev))
            .unwrap();
        assert!(
            !mounted || verdict.class() == guard_abi::DeviceClass::Protected,
            "{verdict:?}"
        );
    }
    let mounts = MountTable::read(&roots, "self").unwrap();
    let tools = ToolTable::built_in().resolve("/".as_ref(), &mounts, &verdicts.free_lv_arguments);
    println!(
        "{} devices, {} tools, {:?}",
        verdicts.devices.len(),
        tools.rules.len(),
        tools.problems
    );
}
