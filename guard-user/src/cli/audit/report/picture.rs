//! The timeline: refusals as bars, open overrides as lanes below them, and the same in words.

use std::fmt::Write as _;

use super::html::{grouped, moment, safe};
use super::page::{BinTold, Page, Timeline};
use crate::audit::time::{NANOS, rfc3339};

/// Units of the picture across and up; it is stretched to its place.
const WIDTH: u64 = 9_600;
const HEIGHT: u64 = 1_000;
/// Lanes of overrides; more are in their part of the page.
const LANES: usize = 12;

/// Puts the timeline into the page.
pub fn timeline(out: &mut String, page: &Page) {
    out.push_str("<section id=\"timeline\" aria-labelledby=\"timeline-title\">\n<h2 id=\"timeline-title\">Timeline</h2>\n");
    let line = &page.timeline;
    let peak = line.bins.iter().map(total).max().unwrap_or(0);
    let open: Vec<_> = page
        .overrides
        .iter()
        .filter_map(|one| Some((one, one.open?)))
        .collect();
    if peak == 0 && open.is_empty() {
        out.push_str(
            "<p class=\"soft\">Nothing was refused and no override was open.</p>\n</section>\n",
        );
        return;
    }
    let _ = write!(
        out,
        "<p class=\"soft\">{}</p>\n<div class=\"chart\">\n<div class=\"name\">Operations<br>up to {} in {}</div>\n",
        safe(&summary(page)),
        grouped(peak),
        length(line.bin)
    );
    bars(out, line, peak);
    for (glass, open) in open.iter().take(LANES) {
        let name = glass.grant.as_deref().unwrap_or("override");
        let from = place(line, open.from);
        let to = place(line, open.to).max(from + WIDTH / 160);
        let _ = writeln!(
            out,
            "<div class=\"name\">{}</div><svg class=\"lane\" viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} open from {} to {}\"><rect class=\"b3\" x=\"{from}\" y=\"0\" width=\"{}\" height=\"10\"/></svg>",
            safe(name),
            safe(name),
            seconds_of(open.from),
            seconds_of(open.to),
            to - from
        );
    }
    let middle = u64::midpoint(line.from, line.to);
    let _ = write!(
        out,
        "<div class=\"name\" aria-hidden=\"true\"></div><div class=\"axis\"><span>{}</span><span>{}</span><span>{}</span></div>\n</div>\n",
        minutes(line.from),
        minutes(middle),
        minutes(line.to)
    );
    let swatch = |class: &str| {
        format!(
            "<svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"10\" height=\"10\"/></svg>"
        )
    };
    let _ = writeln!(
        out,
        "<ul class=\"legend\"><li>{}refused</li><li>{}would have been refused</li><li>{}override open</li></ul>",
        swatch("b1"),
        swatch("b2"),
        swatch("b3")
    );
    if open.len() > LANES {
        let _ = writeln!(
            out,
            "<p class=\"soft\">{} older overrides that were open are not in the picture.</p>",
            open.len() - LANES
        );
    }
    if line.rest.refused + line.rest.observed > 0 {
        let _ = writeln!(
            out,
            "<p class=\"soft\">{} refused and {} observed operations lie at times outside the picture.</p>",
            grouped(line.rest.refused),
            grouped(line.rest.observed)
        );
    }
    words(out, line);
    out.push_str("</section>\n");
}

fn total(bin: &BinTold) -> u64 {
    bin.refused + bin.observed
}

fn summary(page: &Page) -> String {
    let busiest = page.timeline.bins.iter().max_by_key(|bin| total(bin));
    let busiest = busiest.filter(|bin| total(bin) > 0).map(|bin| {
        format!(
            "; busiest from {} on, with {}",
            seconds_of(bin.from),
            total(bin)
        )
    });
    format!(
        "{} operations refused, {} more observed{}.",
        page.summary.refused,
        page.summary.observed,
        busiest.unwrap_or_default()
    )
}

fn bars(out: &mut String, line: &Timeline, peak: u64) {
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"picture-title picture-text\">\
         <title id=\"picture-title\">Refusals over time</title>\
         <desc id=\"picture-text\">Bars of {} each from {} to {}, the highest {}. The same figures stand in the table below.</desc>",
        length(line.bin),
        minutes(line.from),
        minutes(line.to),
        peak
    );
    let count = line.bins.len().max(1) as u64;
    // What is there is seen, however small it is beside the highest.
    let height = |operations: u64| {
        let scaled = operations.saturating_mul(HEIGHT) / peak.max(1);
        if operations > 0 { scaled.max(15) } else { 0 }
    };
    for (at, bin) in (0..).zip(&line.bins) {
        let (x, next) = (at * WIDTH / count, (at + 1) * WIDTH / count);
        let width = (next - x).saturating_sub((next - x) / 8).max(1);
        let (refused, observed) = (height(bin.refused), height(bin.observed));
        let top = HEIGHT.saturating_sub(refused);
        for (class, y, height) in [
            ("b1", top, refused),
            ("b2", top.saturating_sub(observed), observed.min(top)),
        ] {
            if height > 0 {
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
                );
            }
        }
    }
    out.push_str("</svg>\n");
}

/// The bars in words: those with something in them.
fn words(out: &mut String, line: &Timeline) {
    out.push_str(
        "<details><summary>The picture as a table</summary>\n<table role=\"table\"><caption>Operations by time (UTC), where there were any</caption>\n\
         <thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\" scope=\"col\">From</th><th role=\"columnheader\" scope=\"col\" class=\"n\">Refused</th>\
         <th role=\"columnheader\" scope=\"col\" class=\"n\">Observed</th><th role=\"columnheader\" scope=\"col\" class=\"n\">Let through by overrides</th></tr></thead>\n<tbody role=\"rowgroup\">\n",
    );
    for bin in line.bins.iter().filter(|bin| total(bin) + bin.granted > 0) {
        let _ = writeln!(
            out,
            "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}</th><td role=\"cell\" class=\"n\" data-label=\"Refused\">{}</td><td role=\"cell\" class=\"n\" data-label=\"Observed\">{}</td><td role=\"cell\" class=\"n\" data-label=\"Let through\">{}</td></tr>",
            moment(&rfc3339(bin.from * NANOS)),
            grouped(bin.refused),
            grouped(bin.observed),
            grouped(bin.granted)
        );
    }
    out.push_str("</tbody></table></details>\n");
}

/// Where a time lies across the picture.
fn place(line: &Timeline, at: u64) -> u64 {
    let span = (line.to - line.from).max(1);
    (at.clamp(line.from, line.to) - line.from) * (WIDTH - WIDTH / 160) / span
}

fn seconds_of(at: u64) -> String {
    super::super::words::seconds(&rfc3339(at * NANOS))
}

fn minutes(at: u64) -> String {
    seconds_of(at)[..16].to_owned()
}

fn length(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{} minutes", seconds / 60),
        3_600 => "an hour".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{} days", seconds / 86_400),
        _ => format!("{}.{} hours", seconds / 3_600, seconds % 3_600 / 360),
    }
}
