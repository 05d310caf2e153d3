//! The report as one page of HTML: no script, nothing from elsewhere, light and dark, and it prints. Every
//! text in it is escaped, whoever wrote it.

use std::fmt::{Display, Write};

use record::audit::Event;

use super::report::Told;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(told: &Told<'_>) -> String {
    let mut page = Page(String::new());
    page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.raw("<title>Audit report</title><style>");
    page.raw(STYLE);
    page.raw("</style></head><body><main>");
    head(&mut page, told);
    uses(&mut page, told);
    events(&mut page, "Denials", "Denied by policy.", &told.tally.denials, told.tally.denials_in_all);
    let approvals = (&told.tally.approvals, told.tally.approvals_in_all);
    events(
        &mut page,
        "Approvals",
        "Exchanges that policy allows only with approval.",
        approvals.0,
        approvals.1,
    );
    refusals(&mut page, told);
    classes(&mut page, told);
    acts(&mut page, told);
    ledger(&mut page, told);
    retention(&mut page, told);
    notes(&mut page, told);
    page.raw("</main></body></html>\n");
    page.0
}

struct Page(String);

/// Text between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Nothing may turn the direction of what stands beside it, or hide.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, tag: &str, text: impl Display) {
        let text = escaped(&text.to_string());
        // A string takes all that is written to it.
        let _ = write!(self.0, "<{tag}>{text}</{tag}>");
    }

    fn section(&mut self, title: &str, says: &str) {
        self.text("h2", title);
        if !says.is_empty() {
            self.text("p", says);
        }
    }

    /// Columns that begin with `#` hold numbers.
    fn table(&mut self, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            self.raw("<p class=\"none\">None.</p>");
            return;
        }
        let kind = |column: &&str| if column.starts_with('#') { " class=\"n\"" } else { "" };
        self.raw("<div class=\"wide\"><table><thead><tr>");
        for column in columns {
            let name = escaped(column.trim_start_matches('#'));
            let _ = write!(self.0, "<th scope=\"col\"{}>{name}</th>", kind(column));
        }
        self.raw("</tr></thead><tbody>");
        for row in rows {
            self.raw("<tr>");
            for (cell, column) in row.iter().zip(columns) {
                let _ = write!(self.0, "<td{}>{}</td>", kind(column), escaped(cell));
            }
            self.raw("</tr>");
        }
        self.raw("</tbody></table></div>");
    }
}

fn head(page: &mut Page, told: &Told<'_>) {
    let (verified, tally) = (told.verified, told.tally);
    page.text("h1", "Audit report");
    page.text("p", format_args!("From {:.0} on, before {:.0}. Made {:.0}.", told.from, told.to, told.made));
    match &verified.flaw {
        None => {
            page.raw("<div class=\"verdict good\">");
            page.text("strong", "The record is whole.");
            let keys = verified.keys.len();
            page.text(
                "span",
                format_args!(
                    "{} leaves fit together, and {} checkpoints of {keys} key(s) hold; the newest covers {}.",
                    number(verified.leaves),
                    number(verified.checkpoints),
                    number(verified.covered)
                ),
            );
        }
        Some(flaw) => {
            page.raw("<div class=\"verdict bad\">");
            page.text("strong", "The record does not verify.");
            page.text("span", format_args!("{flaw}. What is told below may not be what happened."));
        }
    }
    page.raw("</div><dl class=\"sums\">");
    let masked: u64 = tally.classes.iter().map(|class| class.answers.0).sum();
    let revealed: u64 = tally.classes.iter().map(|class| class.answers.1).sum();
    let refused: u64 = tally.uses.iter().map(|row| row.refused).sum();
    for (name, count) in [
        ("exchanges", tally.exchanges),
        ("refused", refused),
        ("denied by policy", tally.denials_in_all),
        ("needed approval", tally.approvals_in_all),
        ("values masked", masked),
        ("values revealed", revealed),
        ("before there was a caller", tally.strangers),
        ("segments dropped", tally.dropped_in_all),
    ] {
        page.raw("<div>");
        page.text("dt", name);
        page.text("dd", number(count));
        page.raw("</div>");
    }
    page.raw("</dl>");
}

fn uses(page: &mut Page, told: &Told<'_>) {
    page.section(
        "Who used what",
        "By verified caller and resource, the busiest first. Acts on Portcullis itself stand below.",
    );
    let columns = [
        "caller",
        "e-mail",
        "resource",
        "#exchanges",
        "#completed",
        "#refused",
        "#other",
        "#tokens in",
        "#tokens out",
        "#answer",
        "#masked",
        "#revealed",
    ];
    page.table(
        &columns,
        told.tally.uses.iter().map(|row| {
            vec![
                row.caller.clone(),
                row.email.clone().unwrap_or_default(),
                row.resource.clone(),
                number(row.exchanges),
                number(row.completed),
                number(row.refused),
                number(row.other),
                number(row.tokens.0),
                number(row.tokens.1),
                bytes(row.bytes),
                number(row.masked),
                number(row.revealed),
            ]
        }),
    );
}

fn events(page: &mut Page, title: &str, says: &str, events: &[Event], in_all: u64) {
    page.section(title, says);
    if in_all > u64::try_from(events.len()).unwrap_or(u64::MAX) {
        page.text("p", format_args!("{} in all; the first {} are listed.", number(in_all), events.len()));
    }
    page.table(
        &["arrived", "caller", "resource", "operations", "why", "outcome", "request id"],
        events.iter().map(|event| {
            vec![
                event.at.map(|at| format!("{at:.0}")).unwrap_or_default(),
                event.caller.clone(),
                event.resource.clone(),
                event.operations.clone(),
                event.why.clone(),
                event.outcome.clone(),
                event.exchange.clone(),
            ]
        }),
    );
}

fn refusals(page: &mut Page, told: &Told<'_>) {
    page.section("Refusals", "Of every kind, with those before there was a caller.");
    page.table(
        &["code", "policies", "#count"],
        told.tally.refusals.iter().map(|row| vec![row.code.clone(), row.policies.clone(), number(row.count)]),
    );
}

fn classes(page: &mut Page, told: &Told<'_>) {
    page.section("Sensitive values", "Found in answers and in requests, by data class. Revealed and sent means that policy let the caller.");
    page.table(
        &["class", "#masked in answers", "#revealed in answers", "#masked in requests", "#sent in requests"],
        told.tally.classes.iter().map(|row| {
            let counts = [row.answers.0, row.answers.1, row.requests.0, row.requests.1];
            std::iter::once(row.class.clone()).chain(counts.into_iter().map(number)).collect()
        }),
    );
}

fn acts(page: &mut Page, told: &Told<'_>) {
    page.section(
        "Acts on Portcullis itself",
        "Who read recordings, changed policies, blocked callers, held bodies.",
    );
    page.table(
        &["caller", "act", "#count", "#refused"],
        told.tally
            .acts
            .iter()
            .map(|row| vec![row.caller.clone(), row.act.clone(), number(row.count), number(row.refused)]),
    );
}

fn ledger(page: &mut Page, told: &Told<'_>) {
    let (verified, tally) = (told.verified, told.tally);
    page.section("The ledger", "");
    let range = tally
        .leaves
        .map_or_else(|| "none".to_owned(), |(first, last)| format!("{} to {}", number(first), number(last)));
    let covered = match tally.leaves {
        Some((_, last)) if last < verified.covered => "all of them are covered by a checkpoint".to_owned(),
        Some((first, _)) if first < verified.covered => {
            format!("covered by a checkpoint up to {}", number(verified.covered))
        }
        Some(_) => "no checkpoint covers them yet".to_owned(),
        None => String::new(),
    };
    let against: Vec<String> = verified.against.iter().copied().map(number).collect();
    let root: String = verified.root.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut rows = vec![
        ("origin", verified.origin.clone()),
        ("leaves of this time", range),
        ("checkpoints", covered),
        ("leaves in all", number(verified.leaves)),
        ("root", root),
        (
            "kept checkpoints held against it",
            if against.is_empty() { "none".to_owned() } else { against.join(", ") },
        ),
        ("body frames read", number(verified.frames)),
        ("bytes read", bytes(verified.bytes)),
        ("exchanges that are open", number(tally.open)),
    ];
    rows.extend(verified.keys.iter().map(|used| ("key, since leaf", format!("{}: {}", used.leaf, used.key))));
    if tally.damaged > 0 {
        rows.push(("damaged leaves, not counted", number(tally.damaged)));
    }
    page.raw("<div class=\"wide\"><table><tbody>");
    for (name, value) in rows {
        page.raw("<tr>");
        page.text("th", name);
        page.text("td", value);
        page.raw("</tr>");
    }
    page.raw("</tbody></table></div>");
}

fn retention(page: &mut Page, told: &Told<'_>) {
    let tally = told.tally;
    page.section("Retention", "How long bodies are kept, what was dropped by which rule, and what is held. What was asked, by whom and how it ended is never dropped.");
    if tally.rules.is_empty() {
        page.text("p", "No rule was recorded: bodies are kept for ever.");
    } else {
        rules(page, told);
    }
    page.text("h3", "Dropped");
    page.table(
        &["when", "class", "#segment", "rule", "reason", "#exchanges", "#bytes", "SHA-256"],
        tally.dropped.iter().map(|drop| {
            vec![
                drop.at.map(|at| format!("{at:.0}")).unwrap_or_default(),
                drop.class.clone(),
                drop.segment.to_string(),
                drop.rule.clone(),
                drop.reason.clone(),
                number(drop.exchanges),
                bytes(drop.bytes),
                drop.sha256.clone(),
            ]
        }),
    );
    page.text("h3", "Held");
    page.table(
        &["what", "reason", "by", "since", "id"],
        tally.holds.iter().map(|hold| {
            let (holds, reason, by) = (hold.holds.clone(), hold.reason.clone(), hold.by.clone());
            vec![holds, reason, by, format!("{:.0}", hold.at), hold.id.clone()]
        }),
    );
}

fn rules(page: &mut Page, told: &Told<'_>) {
    page.table(
        &["class", "kept for", "up to"],
        told.tally.rules.iter().map(|rule| {
            let days = |age: i64| match age % 86_400 {
                0 => format!("{} days", age / 86_400),
                _ => format!("{age} s"),
            };
            let age = rule.age.map_or_else(|| "ever".to_owned(), days);
            vec![rule.class.clone(), age, rule.size.map_or_else(|| "any size".to_owned(), bytes)]
        }),
    );
}

fn notes(page: &mut Page, told: &Told<'_>) {
    page.section("What else happened", "Policy sets, keys, outages, starts after a crash, holds.");
    page.table(
        &["when", "#leaf", "what"],
        told.tally.notes.iter().map(|note| {
            let at = note.at.map(|at| format!("{at:.0}")).unwrap_or_default();
            vec![at, note.leaf.to_string(), note.what.clone()]
        }),
    );
}

/// A number with its thousands apart.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the largest unit that leaves a whole number before the point.
fn bytes(count: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if count >> shift > 0 {
            let tenths = (count >> (shift - 10)).saturating_mul(10) >> 10;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

#[cfg(test)]
mod tests {
    use record::audit::{Report, Tally, Use};

    use super::*;

    #[test]
    fn whoever_writes_into_the_record_writes_no_html() {
        let hostile = "<script>alert(1)</script>\" onload='x' &lt; \u{202e}evil\u{7}";
        let used = Use { caller: hostile.into(), resource: hostile.into(), ..Use::default() };
        let event = Event { why: hostile.into(), operations: hostile.into(), ..Event::default() };
        let tally = Tally { uses: vec![used], denials: vec![event], ..Tally::default() };
        let report = Report { origin: hostile.into(), ..Report::default() };
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let html = page(&Told { from: at, to: at, made: at, verified: &report, tally: &tally });
        assert!(!html.contains("<script") && !html.contains("onload='") && !html.contains('\u{202e}'));
        assert_eq!(
            html.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp;lt; ").count(),
            5
        );
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (number(12), bytes(1023), bytes(1536), bytes(5 << 40)),
            ("12".into(), "1023 B".into(), "1.5 KiB".into(), "5.0 TiB".into())
        );
    }
}
