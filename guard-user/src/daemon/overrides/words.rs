//! Requests in words.

use guard_abi::dev;

use crate::grant::request::{Object, Request};

/// Operation classes.
pub(super) fn opens(request: &Request) -> Vec<String> {
    request
        .ops
        .iter()
        .map(|op| op.as_str().to_owned())
        .collect()
}

/// What they are opened on.
pub(super) fn object(request: &Request) -> String {
    match &request.object {
        Object::Host => format!("the host {}", request.host),
        Object::Drill => "nothing (a drill)".to_owned(),
        Object::Device(device) => {
            let known = [&device.wwid, &device.serial];
            match known.into_iter().find(|id| *id != "none") {
                Some(id) => format!("{} ({id})", device.name),
                None => device.name.clone(),
            }
        }
    }
}

/// dev_t, kernel form, of `major:minor`.
pub(super) fn dev_of(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once(':')?;
    Some(dev::make(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_devices_are_read() {
        assert_eq!(dev_of("259:1"), Some(dev::make(259, 1)));
        for text in ["", "259", "259:", ":1", "a:b", "none"] {
            assert_eq!(dev_of(text), None, "{text}");
        }
    }
}
