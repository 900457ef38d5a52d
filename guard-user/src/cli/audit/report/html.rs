//! A review as one page for a browser: nothing is loaded from elsewhere, and it says so to the
//! browser (Content-Security-Policy with the hashes of its one style sheet and its one script). All
//! of it can be read without the script, on a phone, and on paper.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::page::{Count, Glass, Page, Row, Section, Table, Told};
use super::picture;
use super::table::{facts, hosts, period, records, signed, title};
use crate::audit::event_id;
use crate::audit::names::printable;

use super::super::words::seconds;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Rows of a table; more are in `--format json`.
pub const ROWS: usize = 300;
/// Records that a count names here.
const NAMED: usize = 3;

/// The page.
pub fn show(page: &Page) -> String {
    let mut out = String::with_capacity(64 << 10);
    head(&mut out, page);
    out.push_str("<main id=\"main\"><div class=\"wrap\">\n");
    filter(&mut out, page);
    picture::timeline(&mut out, page);
    glasses(
        &mut out,
        "overrides",
        "Overrides",
        &page.overrides,
        page.more_steps,
    );
    for table in &page.tables {
        refusals(&mut out, table);
    }
    glasses(&mut out, "drills", "Drills", &page.drills, 0);
    for one in &page.sections {
        section(&mut out, one);
    }
    out.push_str("</div></main>\n");
    foot(&mut out, page);
    // Writing to a string does not fail, here and below.
    let _ = write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

/// Text between tags or in an attribute: what a browser would read as anything else is spelled
/// out, and so is what nobody would see.
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in printable(text).chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn hash(text: &str) -> String {
    format!(
        "'sha256-{}'",
        Base64::encode_string(&Sha256::digest(text.as_bytes()))
    )
}

fn head(out: &mut String, page: &Page) {
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let hosts = safe(&hosts(page));
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Audit review of {hosts}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the findings</a>\n\
         <header><div class=\"wrap\">\n<p class=\"kicker\">dbguard audit review</p>\n\
         <h1>{hosts}</h1>\n<p>{}</p>\n<p class=\"soft\">Records: {}. Made {} (UTC) by dbguard {} from <code>{}</code></p>\n",
        safe(&sentence(&period(page))),
        safe(&records(page)),
        safe(&seconds(&page.made)),
        safe(page.version),
        safe(&page.log)
    );
    verdict(out, page);
    tiles(out, page);
    out.push_str(
        "</div></header>\n<nav aria-label=\"Parts of this review\"><div class=\"wrap\"><ul>\n",
    );
    for (id, title, count) in parts(page) {
        let _ = writeln!(
            out,
            "<li><a href=\"#{id}\">{title}</a> <span class=\"soft\">{count}</span></li>"
        );
    }
    out.push_str("</ul></div></nav>\n");
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// The parts that can be gone to and chosen.
fn parts(page: &Page) -> Vec<(&'static str, &'static str, u64)> {
    let mut parts = vec![("overrides", "Overrides", page.overrides.len() as u64)];
    parts.extend(
        page.tables
            .iter()
            .map(|table| (table.id, table.title, table.rows.len() as u64)),
    );
    parts.push(("drills", "Drills", page.drills.len() as u64));
    parts.extend(
        page.sections
            .iter()
            .map(|section| (section.id, section.title, section.count)),
    );
    parts
}

fn verdict(out: &mut String, page: &Page) {
    if page.doubts.is_empty() {
        out.push_str(
            "<div class=\"verdict\"><strong>The period is whole.</strong> No record of it is missing \
             from the files. Whether anybody changed them: <code>dbguard audit verify</code>.</div>\n",
        );
        return;
    }
    out.push_str("<div class=\"verdict doubt\"><strong>The period is not whole.</strong>\n<ul>\n");
    for doubt in &page.doubts {
        let _ = writeln!(out, "<li>{}</li>", safe(doubt));
    }
    out.push_str("</ul></div>\n");
}

fn tiles(out: &mut String, page: &Page) {
    let one = &page.summary;
    out.push_str("<dl class=\"tiles\">\n");
    for (count, label, class) in [
        (one.overrides_opened, "overrides opened", "alert"),
        (one.emergency_keys, "with a sealed emergency key", "alert"),
        (one.overrides_refused, "overrides refused", "note"),
        (one.refused, "operations refused", ""),
        (one.observed, "would have been refused", "note"),
        (one.granted, "let through by overrides", ""),
        (one.mode_changes, "changes of mode", "note"),
        (one.broken, "parts reported broken", "alert"),
        (one.gaps, "gap records", "note"),
        (one.lost, "events lost", "alert"),
    ] {
        let class = if count == 0 { "" } else { class };
        let _ = writeln!(
            out,
            "<div class=\"{class}\"><dt>{label}</dt><dd>{}</dd></div>",
            grouped(count)
        );
    }
    out.push_str("</dl>\n<details><summary>Where these figures are from</summary>\n");
    for one in &page.decisions {
        let _ = writeln!(
            out,
            "<p>{} operations {}: {}</p>",
            grouped(one.count.operations),
            safe(one.words),
            refs(&one.count)
        );
        let _ = writeln!(out, "<code>{}</code>", safe(&one.count.search));
    }
    out.push_str("<p>The others are counted from the parts below.</p></details>\n");
}

/// A number with its thousands apart, by a space that does not break.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// The form has no use without the script, which shows it.
fn filter(out: &mut String, page: &Page) {
    out.push_str(
        "<form id=\"filter\" role=\"search\" hidden>\n\
         <div><label for=\"filter-text\">Show only entries with these words</label>\
         <input id=\"filter-text\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\"></div>\n\
         <div><label for=\"filter-part\">In</label><select id=\"filter-part\"><option value=\"\">every part</option>",
    );
    for (id, title, _) in parts(page) {
        let _ = write!(out, "<option value=\"{id}\">{title}</option>");
    }
    out.push_str(
        "</select></div>\n<button type=\"reset\">Show all</button>\n\
         <output id=\"filter-told\" for=\"filter-text filter-part\"></output>\n</form>\n",
    );
}

fn begin(out: &mut String, id: &str, title: &str) {
    let _ = writeln!(
        out,
        "<section id=\"{id}\" data-part=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>"
    );
}

fn glasses(out: &mut String, id: &str, name: &str, glasses: &[Glass], more_steps: u64) {
    begin(out, id, name);
    if glasses.is_empty() {
        out.push_str("<p class=\"soft\">None in this period.</p>\n");
    }
    for one in glasses.iter().take(ROWS) {
        glass(out, one);
    }
    let left = glasses.len().saturating_sub(ROWS);
    if left > 0 {
        let _ = writeln!(
            out,
            "<p>And {left} older ones: <code>--format json</code> has them.</p>"
        );
    }
    if more_steps > 0 {
        let _ = writeln!(
            out,
            "<p>And {more_steps} older steps of overrides: <code>dbguard audit search --kind override</code>.</p>"
        );
    }
    out.push_str("</section>\n");
}

fn glass(out: &mut String, glass: &Glass) {
    let badge = match glass.outcome {
        "opened" => "opened",
        "drill" => "drill",
        "refused" => "refused",
        "asked" => "asked for",
        "earlier" => "opened before this period",
        _ => "other",
    };
    let _ = writeln!(
        out,
        "<article class=\"{}\" data-row>\n<h3><span class=\"badge\">{badge}</span>{}</h3>",
        glass.outcome,
        safe(&title(glass))
    );
    if glass.signed.iter().any(|one| one.emergency) {
        out.push_str("<p><span class=\"badge loud\">sealed emergency key used</span></p>\n");
    }
    out.push_str("<dl class=\"facts\">\n");
    for (label, text) in facts(glass) {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", sentence(label), safe(&text));
    }
    list(out, "Asked", glass.asked.iter().map(told));
    list(out, "Signed", signed(glass).iter().map(|text| safe(text)));
    list(out, "Opened", glass.opened.iter().map(told));
    list(out, "Ran", glass.ran.iter().map(command));
    let through = glass.through.iter().map(|one| {
        format!(
            "{} × {} to <code>{}</code> <span class=\"refs\">{}</span>{}",
            grouped(one.count.operations),
            safe(&one.op),
            safe(&one.object),
            refs(&one.count),
            search(&[&one.count])
        )
    });
    list(out, "Let through", through);
    list(out, "Refused", glass.refused.iter().map(told));
    list(out, "Besides", glass.other.iter().map(told));
    list(out, "Closed", glass.closed.iter().map(told));
    if glass.closed.is_empty() {
        let _ = writeln!(out, "<dt>End</dt><dd>{}</dd>", safe(&sentence(&glass.end)));
    }
    out.push_str("</dl>\n</article>\n");
}

fn list(out: &mut String, label: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("<li>{item}</li>")).collect();
    if !items.is_empty() {
        let _ = writeln!(out, "<dt>{label}</dt><dd><ul>{}</ul></dd>", items.concat());
    }
}

/// A moment for people and programs.
pub fn moment(time: &str) -> String {
    format!(
        "<time datetime=\"{}\">{}</time>",
        safe(time),
        safe(&seconds(time))
    )
}

fn told(told: &Told) -> String {
    format!(
        "{} <span class=\"refs\">{} · record {}</span>",
        safe(&told.text),
        moment(&told.time),
        told.seq
    )
}

fn command(told: &Told) -> String {
    format!(
        "<code>{}</code> <span class=\"refs\">{} · record {}</span>",
        safe(&told.text),
        moment(&told.time),
        told.seq
    )
}

/// The records that a count is from: `E-7K2Q, E-9ABC and 12 more, the last E-8XYZ`.
fn refs(count: &Count) -> String {
    let named: Vec<String> = count
        .seqs
        .iter()
        .take(NAMED)
        .map(|seq| event_id::encode(*seq))
        .collect();
    let more = count.records - named.len() as u64;
    let named = named.join(", ");
    if more == 0 {
        named
    } else {
        format!(
            "{named} and {} more, the last {}",
            grouped(more),
            event_id::encode(count.last_seq)
        )
    }
}

fn search(counts: &[&Count]) -> String {
    let mut text = String::new();
    for count in counts.iter().filter(|count| count.records > 0) {
        let _ = write!(text, "<code>{}</code>", safe(&count.search));
    }
    format!("<details><summary>find them</summary>{text}</details>")
}

fn refusals(out: &mut String, table: &Table) {
    begin(out, table.id, table.title);
    if table.rows.is_empty() {
        out.push_str("<p class=\"soft\">None in this period.</p>\n</section>\n");
        return;
    }
    let _ = write!(
        out,
        "<table role=\"table\">\n<caption>Operations refused, and those that enforcing would have refused, most first; times in UTC</caption>\n\
         <thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\" scope=\"col\">{}</th>\
         <th role=\"columnheader\" scope=\"col\" class=\"n\">Refused</th>\
         <th role=\"columnheader\" scope=\"col\" class=\"n\">Observed</th>\
         <th role=\"columnheader\" scope=\"col\">First and last</th>\
         <th role=\"columnheader\" scope=\"col\" class=\"wide\">Records</th></tr></thead>\n<tbody role=\"rowgroup\">\n",
        table.head
    );
    for one in table.rows.iter().take(ROWS) {
        row(out, one);
    }
    out.push_str("</tbody></table>\n");
    let left = &table.rows[table.rows.len().min(ROWS)..];
    if !left.is_empty() {
        let sum = |of: fn(&Row) -> u64| grouped(left.iter().map(of).sum());
        let _ = writeln!(
            out,
            "<p>And {} further rows with {} refused and {} observed: <code>--format json</code> has them.</p>",
            left.len(),
            sum(|row| row.refused.operations),
            sum(|row| row.observed.operations)
        );
    }
    let rest = table.rest;
    if rest.refused + rest.observed > 0 {
        let _ = writeln!(
            out,
            "<p>And {} refused, {} observed, of further kinds that are not told apart.</p>",
            grouped(rest.refused),
            grouped(rest.observed)
        );
    }
    out.push_str("</section>\n");
}

fn row(out: &mut String, row: &Row) {
    let Row {
        name,
        detail,
        refused,
        observed,
    } = row;
    let detail = detail
        .as_ref()
        .map(|text| format!("<br><span class=\"soft\">{}</span>", safe(text)));
    let number = |label: &str, count: &Count| {
        let zero = if count.operations == 0 { " zero" } else { "" };
        format!(
            "<td role=\"cell\" class=\"n{zero}\" data-label=\"{label}\">{}</td>",
            grouped(count.operations)
        )
    };
    let both: Vec<&Count> = [refused, observed]
        .into_iter()
        .filter(|count| count.records > 0)
        .collect();
    let first = both.iter().map(|count| &count.first).min();
    let last = both.iter().map(|count| &count.last).max();
    let when = match (first, last) {
        (Some(first), Some(last)) if first == last => moment(first),
        (Some(first), Some(last)) => format!("{}<br>{}", moment(first), moment(last)),
        _ => String::new(),
    };
    let named: Vec<String> = both.iter().map(|count| refs(count)).collect();
    let _ = writeln!(
        out,
        "<tr role=\"row\" data-row><th role=\"rowheader\" scope=\"row\">{}{}</th>{}{}\
         <td role=\"cell\" class=\"t\" data-label=\"When\">{when}</td>\
         <td role=\"cell\"><span class=\"refs\">{}</span>{}</td></tr>",
        safe(name),
        detail.unwrap_or_default(),
        number("Refused", refused),
        number("Observed", observed),
        named.join("; "),
        search(&both)
    );
}

fn section(out: &mut String, section: &Section) {
    begin(out, section.id, section.title);
    if section.count == 0 {
        out.push_str("<p class=\"soft\">None in this period.</p>\n</section>\n");
        return;
    }
    let from = section.rows.len().saturating_sub(ROWS);
    let older = section.more + from as u64;
    out.push_str(
        "<table role=\"table\">\n<caption>Oldest first; times in UTC</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">\
         <th role=\"columnheader\" scope=\"col\">When</th><th role=\"columnheader\" scope=\"col\">What</th>\
         <th role=\"columnheader\" scope=\"col\" class=\"n\">Record</th></tr></thead>\n<tbody role=\"rowgroup\">\n",
    );
    for one in &section.rows[from..] {
        let event = one
            .event
            .as_ref()
            .map(|event| format!("{} · ", safe(event)));
        let _ = writeln!(
            out,
            "<tr role=\"row\" data-row><td role=\"cell\" class=\"t\">{}</td><td role=\"cell\">{}</td>\
             <td role=\"cell\" class=\"n\" data-label=\"Record\">{}{}</td></tr>",
            moment(&one.time),
            safe(&one.text),
            event.unwrap_or_default(),
            one.seq
        );
    }
    out.push_str("</tbody></table>\n");
    if older > 0 {
        let _ = writeln!(
            out,
            "<p>And {} older ones: <code>{}</code></p>",
            grouped(older),
            safe(&section.search)
        );
    }
    out.push_str("</section>\n");
}

fn foot(out: &mut String, page: &Page) {
    let kinds: Vec<String> = page
        .kinds
        .iter()
        .map(|(kind, count)| format!("{} {}", grouped(*count), safe(kind)))
        .collect();
    let _ = writeln!(
        out,
        "<footer><div class=\"wrap\"><p>Records of the period by kind: {}.</p>\n\
         <p>Every figure names records of the log. <code>dbguard why E-7K2Q</code> explains one; the command beside a count finds all that it is from.</p></div></footer>",
        kinds.join(", ")
    );
}
