//! Values made up from the rules themselves: a random match of each pattern that passes its check, behind
//! the words it asks for; and matches that fail the check.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::check::entropy;
use crate::context::Context;
use crate::rule::{Rule, Shape};

/// Pseudo-random numbers: the same for the same seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n.max(1)
    }
}

/// A random match of `pattern`. Repetitions are kept near their least.
fn matching(hir: &Hir, chance: &mut Chance, out: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes: Vec<u8> = class.ranges().iter().flat_map(|r| r.start()..=r.end()).collect();
            // Of "anything but", something that can be read.
            let plain: Vec<u8> =
                bytes.iter().copied().filter(|b| *b == b' ' || b.is_ascii_graphic()).collect();
            let from = if plain.is_empty() { &bytes } else { &plain };
            let space = bytes.len() > 128 && from.contains(&b' ');
            out.push(if space { b' ' } else { from[chance.below(from.len())] });
        }
        // Patterns are in ASCII mode.
        HirKind::Class(Class::Unicode(_)) => {}
        HirKind::Repetition(repetition) => {
            let least = repetition.min as usize;
            let most = repetition.max.map_or(least + 2, |m| m as usize).min(least + 2);
            for _ in 0..least + chance.below(most - least + 1) {
                matching(&repetition.sub, chance, out);
            }
        }
        HirKind::Capture(capture) => matching(&capture.sub, chance, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| matching(part, chance, out)),
        HirKind::Alternation(parts) => matching(&parts[chance.below(parts.len())], chance, out),
    }
}

/// The bytes that announce a value of `rule`.
fn before(rule: &Rule, seed: u64) -> String {
    let words: Vec<&str> = rule.near.iter().collect();
    let word = if words.is_empty() { "" } else { words[Chance::new(seed).below(words.len())] };
    match &rule.shape {
        Shape::After(Context::Aws, _) => "aws_secret_access_key = \"".to_owned(),
        Shape::After(Context::Password, _) => "db_password=".to_owned(),
        Shape::After(Context::Near, _) => format!("{word} api_key = \""),
        Shape::After(Context::Long, _) if word.is_empty() => "see ".to_owned(),
        Shape::After(Context::Long, _) => format!("{word} = \""),
        _ if rule.name == "uri-password" || rule.name == "uri-token" => "https".to_owned(),
        _ if rule.name == "authorization-basic" => "Authorization: ".to_owned(),
        _ if rule.name == "curl-user" => "curl ".to_owned(),
        _ if rule.name == "ipv4" => "client ip ".to_owned(),
        _ if word.is_empty() => "see ".to_owned(),
        _ => format!("{word}: "),
    }
}

/// A text with a made-up value of `rule`, and where the value lies; `None` when chance alone makes none.
pub(crate) fn value(rule: &Rule, seed: u64, good: bool) -> Option<(String, std::ops::Range<usize>)> {
    match &*rule.name {
        // Their checks are hashes; these are the addresses that their own papers print.
        "bitcoin" => return fixed(rule, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", good),
        "bitcoin-bech32" => return fixed(rule, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", good),
        // Its left side is no pattern.
        "email" => return fixed(rule, "ada@mail.example.org", good),
        // Texts in which hardly any match by chance makes sense.
        "curl-user" => return written("curl -u «ada:pX9vQ2rT7mK4»", "curl -u «ada:password»", good),
        "jwt-encrypted" => {
            // `{"alg":"RSA-OAEP-256"}` and `{"typ":"nothing here"}` in base64url.
            let head = |json: &'static str| format!("«{json}.QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8»");
            let good_one = head("eyJhbGciOiJSU0EtT0FFUC0yNTYifQ");
            return written(&good_one, &head("eyJ0eXAiOiJub3RoaW5nIGhlcmUifQ"), good);
        }
        "secure-string" => {
            let text = |value: &str| format!("ConvertTo-SecureString \"«{value}»\" -Force");
            return written(&text("blue horse"), &text("{{ it }}"), good);
        }
        "sql-password" => {
            let text = |value: &str| format!("CREATE USER a IDENTIFIED BY '«{value}»'");
            return written(&text("blue horse"), &text("{{ it }}"), good);
        }
        "config-password" => {
            let text = |value: &str| format!("<add key=\"ClearTextPassword\" value=\"«{value}»\" />");
            return written(&text("blue horse"), &text("{{ it }}"), good);
        }
        _ => {}
    }
    let hir = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(rule.shape.pattern())
        .unwrap();
    let mut chance = Chance::new(seed);
    for round in 0..60_000 {
        let mut text = Vec::new();
        matching(&hir, &mut chance, &mut text);
        match &*rule.name {
            // Groups of four are as rare by chance as the letters' cases.
            "credit-card" => text.retain(u8::is_ascii_digit),
            "ethereum" => text.make_ascii_lowercase(),
            _ => {}
        }
        let left = before(rule, seed);
        let judged = rule
            .check
            .run(left.as_bytes(), &text)
            .filter(|v| !v.is_empty() && entropy(&text[v.clone()]) >= rule.entropy);
        if judged.is_some() != good {
            if !good && round > 2_000 {
                return None;
            }
            continue;
        }
        let range = judged.unwrap_or(0..text.len());
        let Ok(text) = String::from_utf8(text) else { continue };
        return Some((format!("{left}{text}"), left.len() + range.start..left.len() + range.end));
    }
    None
}

/// A text with its value between « and ».
fn written(good: &str, bad: &str, wanted: bool) -> Option<(String, std::ops::Range<usize>)> {
    let marked = if wanted { good } else { bad };
    let (left, rest) = marked.split_once('«')?;
    let (value, right) = rest.split_once('»')?;
    Some((format!("{left}{value}{right}"), left.len()..left.len() + value.len()))
}

fn fixed(rule: &Rule, value: &str, good: bool) -> Option<(String, std::ops::Range<usize>)> {
    let left = before(rule, 1);
    let text =
        if good { value.to_owned() } else { value.replace("DivfNa", "DivfNb").replace("kv8f", "kw8f") };
    (good || text != value).then(|| (format!("{left}{text}"), left.len()..left.len() + value.len()))
}
