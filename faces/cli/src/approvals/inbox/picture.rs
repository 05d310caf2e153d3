//! The inbox as the guide shows it: drawn here, so that the picture is what a person sees.

use serde_json::{Value, json};

use super::*;

/// The size of the screen.
const SIZE: (usize, usize) = (92, 22);
/// A letter's width and a line's height.
const CELL: (f64, f64) = (8.4, 19.0);

fn now() -> Timestamp {
    "2026-01-31T12:09:41Z".parse().unwrap()
}

fn approval(
    id: &str,
    state: &str,
    who: &str,
    what: (&str, &str, &str),
    consents: (u8, u8),
    at: &str,
) -> Value {
    json!({
        "id": id, "state": state, "needed": consents.1, "given": consents.0, "resource": "llama",
        "requester": { "email": who }, "asked_at": at,
        "operations": [{ "name": what.0, "class": what.1, "model": what.2 }],
        "decisions": [{ "decision": "denied", "by": { "email": "carol@example.test" }, "reason": "not before the review" }],
    })
}

fn picture() -> String {
    let out = Out::into(Box::new(std::io::sink()), true);
    let mut inbox = Inbox::default();
    let export = ("weights.export", "export", "llama-3-8b");
    let tune = ("vllm.load_lora_adapter", "manage", "llama-3-8b");
    let chat = ("openai.chat", "infer", "llama-3-70b");
    for one in [
        approval("019bcf0a-21c4", "waiting", "alice@example.test", export, (0, 1), "2026-01-31T12:08:02Z"),
        approval("019bcf0a-7f10", "waiting", "nightly-build", tune, (1, 2), "2026-01-31T11:31:17Z"),
        approval("019bcf09-03ae", "denied", "bob@example.test", chat, (0, 1), "2026-01-31T11:20:00Z"),
        approval("019bcf08-9d33", "released", "dana@example.test", export, (1, 1), "2026-01-31T10:58:00Z"),
    ] {
        let mut one = one;
        if one["state"] == "released" {
            one["decisions"][0]["reason"] = Value::Null;
        }
        inbox.hear(one, &out);
    }
    inbox.take(Key::Letter('a'));
    for letter in "agreed with the data owner".chars() {
        inbox.take(Key::Letter(letter));
    }
    svg(&inbox.draw(SIZE, now(), &out))
}

/// Lines with colours, as a picture.
fn svg(lines: &[String]) -> String {
    let (width, height) = (SIZE.0 as f64 * CELL.0 + 32.0, lines.len() as f64 * CELL.1 + 34.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"The inbox in a terminal\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"#10201e\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"14\" fill=\"#dfe9e6\" \
         xml:space=\"preserve\">\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = (row as f64).mul_add(CELL.1, 30.0);
        svg.push_str(&format!("<text x=\"16\" y=\"{y:.0}\">{}</text>\n", spans(line)));
    }
    svg + "</g>\n</svg>\n"
}

/// A line's pieces by their colour (ECMA-48, SGR).
fn spans(line: &str) -> String {
    let mut out = String::new();
    let mut style = String::new();
    for piece in line.split('\x1b') {
        let (codes, text) = match piece.strip_prefix('[').and_then(|piece| piece.split_once('m')) {
            Some((codes, text)) => (Some(codes), text),
            None => (None, piece),
        };
        match codes {
            Some("0") => style.clear(),
            Some("1") => style.push_str(" font-weight=\"bold\""),
            Some("2") => style.push_str(" opacity=\"0.6\""),
            Some("31") => style.push_str(" fill=\"#ff9d96\""),
            Some("32") => style.push_str(" fill=\"#7fd6a0\""),
            Some("33") => style.push_str(" fill=\"#f2c26b\""),
            _ => {}
        }
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        if !text.is_empty() {
            out.push_str(&format!("<tspan{style}>{text}</tspan>"));
        }
    }
    out
}

#[test]
fn the_published_picture_is_what_is_drawn() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let drawn = picture();
    let published = std::fs::read_to_string(format!("{root}/docs/pictures/watch.svg")).unwrap_or_default();
    if published != drawn {
        std::fs::write(format!("{root}/target/watch.svg"), &drawn).unwrap();
        panic!("docs/pictures/watch.svg is old: cp target/watch.svg docs/pictures/watch.svg");
    }
}
