//! Messages to the baseboard management controller: include/uapi/linux/ipmi.h and the IPMI 2.0
//! specification, appendix G.
//!
//! What resets the machine, cuts its power, or changes what it boots from is refused. Everything
//! else (sensors, the event log, inventory, users, networks, the watchdog) goes on.

use guard_abi::{Op, Reason};

use super::Meaning;
use crate::decide::Verdict;

/// Bytes of a message's data that are looked at.
pub const DATA_BYTES: usize = 8;

/// A message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Network function; even for a request.
    pub netfn: u8,
    /// Command.
    pub cmd: u8,
    /// Its data, as far as there is any; zero behind.
    pub data: [u8; DATA_BYTES],
}

/// Judges the number of an ioctl.
#[inline(always)]
pub const fn ioctl(cmd: u32) -> Meaning {
    match cmd {
        // IPMICTL_SEND_COMMAND, IPMICTL_SEND_COMMAND_SETTIME
        0x8028_690D | 0x8030_6915 => Meaning::Bmc { compat: false },
        // The same of a 32-bit process (drivers/char/ipmi/ipmi_devintf.c)
        0x8014_690D | 0x801C_6915 => Meaning::Bmc { compat: true },
        _ => Meaning::Known(Verdict::ALLOW),
    }
}

/// Judges a message.
#[inline(always)]
pub const fn message(message: Message) -> Verdict {
    /// Send Message.
    const BRIDGED: (u8, u8) = (0x06, 0x34);
    let (netfn, cmd) = (message.netfn & !1, message.cmd);
    if netfn != BRIDGED.0 || cmd != BRIDGED.1 {
        return request(netfn, cmd, message.data[0]);
    }
    // Channel; then, to IPMB: address, netFn and LUN, checksum, address, sequence, command. Other
    // channels lead to consoles, not to controllers.
    request(
        (message.data[2] >> 2) & !1,
        message.data[6],
        message.data[7],
    )
}

/// Identifies PICMG among the extensions.
const PICMG: u8 = 0x00;

#[inline(always)]
const fn request(netfn: u8, cmd: u8, first: u8) -> Verdict {
    const REFUSED: Verdict = Verdict::deny(Op::Bmc, Reason::RunningSystem);
    match (netfn, cmd) {
        // Chassis: capabilities, status, identify, power restore policy, restart cause, boot
        // options (read), front panel, power cycle interval, hours.
        (0x00, 0x00 | 0x01 | 0x04 | 0x06 | 0x07 | 0x09 | 0x0A | 0x0B | 0x0F) => Verdict::ALLOW,
        // Control, reset, capabilities (write), boot options (write); and what was added since.
        (0x00, _) => REFUSED,
        // Cold and warm reset of the controller itself: the machine runs on.
        (0x06, 0x02 | 0x03) => Verdict::record(Op::Bmc),
        // Firmware of the controller.
        (0x08, _) => Verdict::deny(Op::Firmware, Reason::RunningSystem),
        // PICMG: FRU control (resets a board), activation policy and activation (cuts its power),
        // and of HPM.1 the start of an upgrade and its activation.
        (0x2C, 0x04 | 0x0A | 0x0C) if first == PICMG => REFUSED,
        (0x2C, 0x31 | 0x35) if first == PICMG => Verdict::deny(Op::Firmware, Reason::RunningSystem),
        _ => Verdict::ALLOW,
    }
}
