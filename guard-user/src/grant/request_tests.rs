use proptest::prelude::*;

use super::super::testing::request as example;
use super::*;

#[test]
fn what_is_rendered_is_parsed() {
    let device = example();
    let host = Request {
        object: Object::Host,
        ops: vec![Op::Kexec],
        ..example()
    };
    let drill = Request {
        object: Object::Drill,
        ops: Vec::new(),
        ..example()
    };
    for request in [device, host, drill] {
        let text = request.render();
        assert!(text.len() < 2048, "{text}");
        assert_eq!(Request::parse(text.as_bytes()), Ok(request));
    }
}

#[test]
fn a_drill_opens_nothing_and_nothing_else_does() {
    let drill = Request {
        object: Object::Drill,
        ..example()
    };
    assert!(Request::parse(drill.render().as_bytes()).is_err());
    let nothing = Request {
        ops: Vec::new(),
        ..example()
    };
    assert!(Request::parse(nothing.render().as_bytes()).is_err());
}

#[test]
fn nothing_in_a_value_makes_a_line() {
    let request = Request {
        reason: "x\nopens: kexec\r\u{202e}\u{1b}[2Jä".into(),
        incident: "  ".into(),
        ..example()
    };
    let text = request.render();
    let read = Request::parse(text.as_bytes()).unwrap();
    assert_eq!(read.reason, "x?opens: kexec???[2J?");
    assert_eq!(read.incident, "none");
    assert_eq!(read.ops, request.ops);
}

#[test]
fn life_counts_from_the_request() {
    assert_eq!(example().expires_boot_ns(), (4_711 + 1_800) * 1_000_000_000);
}

/// Whatever is done to the text, it is another request or none: never the same one.
#[test]
fn no_change_goes_unnoticed() {
    let request = example();
    let text = request.render().into_bytes();
    let same = |bytes: &[u8]| Request::parse(bytes).is_ok_and(|read| read == request);
    assert!(same(&text));
    for at in 0..text.len() {
        let mut without = text.clone();
        without.remove(at);
        assert!(!same(&without), "without byte {at}");
        for byte in [b' ', b'\n', b'\r', b'\t', b'0', b'A', 0, 0xc3] {
            let mut other = text.clone();
            other.insert(at, byte);
            assert!(!same(&other), "{byte} before byte {at}");
            if text[at] != byte {
                other = text.clone();
                other[at] = byte;
                assert!(!same(&other), "{byte} for byte {at}");
            }
        }
    }
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 1..lines.len() - 1 {
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        assert!(!same(&swapped.concat()), "line {at} after the next");
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        assert!(!same(&twice.concat()), "line {at} twice");
    }
    assert!(!same(&[&text[..], b"x"].concat()) && !same(&[&text[..], b"\n"].concat()));
    let wide: Vec<u8> = text.iter().flat_map(|byte| [*byte, 0]).collect();
    assert!(!same(&wide) && !same(&[b"\xef\xbb\xbf", &text[..]].concat()));
}

#[test]
fn what_is_wrong_is_named() {
    let text = example().render();
    let parse = |text: &str| Request::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(parse(&text.replace('\n', "\r\n")).contains("carriage return"));
    assert!(parse("hello").contains("not a request"));
    assert!(parse(&text.replace("uses: 1", "uses: 01")).contains("'uses' cannot be '01'"));
    assert!(parse(&text.replace("uses: 1", "uses: 9")).contains("'uses' cannot be '9'"));
    assert!(parse(&text.replace("opens: raw-write", "opens: everything")).contains("'opens'"));
    assert!(parse(&text.replace("state: ", "State: ")).contains("should be 'state: "));
    assert!(parse(&format!("{text}more: x\n")).contains("more after its last line"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Request::parse(&bytes);
        let _ = Request::parse(&[FORMAT.as_bytes(), b"\nhost: ", &bytes].concat());
    }

    #[test]
    fn whatever_is_said_can_be_read_back(reason in ".{0,600}", name in ".{0,50}", uses in 1..=MAX_USES) {
        let request = Request { reason, host: name, uses, ..example() };
        let text = request.render();
        let read = Request::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(read.render(), text);
    }
}
