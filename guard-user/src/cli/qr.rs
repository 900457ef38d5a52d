//! Text as a QR code, for a console from which nothing can be copied but by a camera.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::exit::{Exit, Failure};

/// Two modules a letter, dark on light as terminals are light on dark.
pub fn of(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        Failure::new(Exit::INTERNAL, format!("a QR code of the request: {error}"))
    })?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Ok(drawn + "\n")
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_request_fits() {
        let drawn = of(&"x".repeat(1_500)).expect("a code");
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines.len() < 80, "{}", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() < 160));
        assert!(of(&"x".repeat(8_192)).is_err());
    }
}
