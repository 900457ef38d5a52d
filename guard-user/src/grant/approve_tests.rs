use super::super::testing::request as example;
use super::*;

fn host() -> Host {
    let request = example();
    Host {
        name: request.host,
        machine_id: request.machine_id,
        boot_id: request.boot_id,
        now_boot_ns: 4_712_000_000_000,
        policy: request.policy,
    }
}

fn device() -> Device {
    match example().object {
        Object::Device(device) => device,
        other => unreachable!("the example is about a device, not {other:?}"),
    }
}

fn ask(
    text: &str,
    host: &Host,
    issued: Issued,
    device: Option<Device>,
) -> Result<Request, Refused> {
    recognise(text.as_bytes(), host, |_| issued, |_| device)
}

fn open(text: &str) -> Issued {
    Issued::Open(request::digest(text.as_bytes()))
}

#[test]
fn what_this_host_issued_is_recognised() {
    let text = example().render();
    assert_eq!(
        ask(&text, &host(), open(&text), Some(device())),
        Ok(example())
    );
}

#[test]
fn every_binding_refuses_with_its_own_reason() {
    let text = example().render();
    let refused = |host: &Host, issued: Issued, device: Option<Device>| {
        ask(&text, host, issued, device).unwrap_err()
    };
    let here = host();
    let with = |change: &dyn Fn(&mut Host)| {
        let mut host = host();
        change(&mut host);
        refused(&host, open(&text), Some(device())).code()
    };
    assert_eq!(with(&|host| host.name = "db8".into()), "other-host");
    assert_eq!(
        with(&|host| host.machine_id = "f".repeat(32)),
        "other-machine"
    );
    assert_eq!(with(&|host| host.boot_id = "other".into()), "other-boot");
    assert_eq!(
        with(&|host| host.policy = "sha256:01".into()),
        "other-policy"
    );
    assert_eq!(
        with(&|host| host.now_boot_ns = 6_511_000_000_000),
        "expired"
    );
    let just_before = Host {
        now_boot_ns: 6_510_999_999_999,
        ..host()
    };
    assert!(ask(&text, &just_before, open(&text), Some(device())).is_ok());
    assert_eq!(
        refused(&here, Issued::Never, Some(device())).code(),
        "not-issued"
    );
    assert_eq!(
        refused(&here, Issued::Spent("G-3".into()), Some(device())).code(),
        "spent"
    );
    assert_eq!(
        refused(&here, Issued::Open("00".into()), Some(device())).code(),
        "altered"
    );
    assert_eq!(refused(&here, open(&text), None).code(), "device-gone");
    let changes: [fn(&mut Device); 5] = [
        |device| device.wwid = "naa.5".into(),
        |device| device.serial = "S1".into(),
        |device| device.diskseq = 8,
        |device| device.bytes += 1,
        |device| device.dev = "259:2".into(),
    ];
    for change in changes {
        let mut other = device();
        change(&mut other);
        assert_eq!(
            refused(&here, open(&text), Some(other)).code(),
            "other-device"
        );
    }
}

#[test]
fn the_broadcast_case_says_which_host_it_is() {
    let text = example().render();
    let host = Host {
        name: "db8".into(),
        ..host()
    };
    let said = ask(&text, &host, Issued::Never, None)
        .unwrap_err()
        .to_string();
    assert!(said.starts_with("signed for db7, this is db8"), "{said}");
}

fn signer<'a>(person: &'a str, key: &'a str) -> Signer<'a> {
    Signer {
        person,
        key,
        is_for_emergencies: false,
    }
}

#[test]
fn people_are_counted_not_keys() {
    let request = example();
    let (ann, bob) = (signer("ann@x", "SHA256:a"), signer("bob", "SHA256:b"));
    let code = |signers: &[Signer<'_>], requester: Option<&str>| {
        approve(&request, signers, requester).map_err(|refused| refused.code())
    };
    assert_eq!(code(&[ann, bob], None), Ok(()));
    assert_eq!(code(&[ann, bob], Some("carol")), Ok(()));
    assert_eq!(code(&[ann], None), Err("too-few"));
    assert_eq!(code(&[], None), Err("too-few"));
    assert_eq!(
        code(&[ann, signer("ANN@x", "SHA256:c")], None),
        Err("same-person")
    );
    assert_eq!(
        code(&[ann, signer("bob", "SHA256:a")], None),
        Err("same-key")
    );
    assert_eq!(code(&[ann, bob], Some("ann")), Err("requester"));
    assert_eq!(code(&[ann, bob], Some("BOB")), Err("requester"));
}

#[test]
fn the_strictest_rule_counts() {
    let rules = default_rules();
    let ask = |data: Data, role: &str| {
        let situation = Situation {
            ops: &[Op::RawWrite],
            state: "armed",
            data,
            role,
        };
        signers_needed(&rules, situation)
    };
    assert_eq!(ask(Data::None, "unknown"), 1);
    assert_eq!(ask(Data::Critical, "replica"), 1);
    assert_eq!(ask(Data::Running, "replica"), 2);
    assert_eq!(ask(Data::System, "primary"), 2);
    let mut own = default_rules();
    own.push(Rule {
        ops: vec!["kexec".into()],
        states: vec!["held".into()],
        data: Vec::new(),
        roles: Vec::new(),
        signers: 3,
    });
    let kexec = |state| Situation {
        ops: &[Op::Reset, Op::Kexec],
        state,
        data: Data::Running,
        role: "unknown",
    };
    assert_eq!(signers_needed(&own, kexec("held")), 3);
    assert_eq!(signers_needed(&own, kexec("armed")), 2);
}
