//! Requests in words.

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
