//! The scanner and the masker against an oracle that knows neither.

mod made;
mod marks;
mod oracle;
mod pieces;
mod samples;
mod splits;
mod views;

use std::sync::Arc;

use model::{DataClass, Reveal};

use crate::Rules;

/// Lets see what lies in one of these classes.
pub(crate) struct Shows(pub(crate) Vec<&'static str>);

impl Reveal for Shows {
    fn reveals(&self, class: &DataClass) -> bool {
        self.0.iter().any(|c| class.as_str() == *c || class.as_str().starts_with(&format!("{c}.")))
    }
}

pub(crate) fn rules() -> Arc<Rules> {
    Rules::standard().unwrap()
}

/// Pseudo-random text for made-up values: the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize, alphabet: &str) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]
        })
        .collect()
}

pub(crate) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// One made-up value per rule, as `(rule, text around it with the value between « and »)`.
pub(crate) fn planted() -> Vec<(&'static str, String)> {
    let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let n = |len| noise(len as u64 + 7, len, ALNUM);
    let begin = ["-----BEGIN", " RSA PRI", "VATE KEY-----"].concat();
    let end = ["-----END", " RSA PRI", "VATE KEY-----"].concat();
    vec![
        ("aws-access-key-id", format!("id «{}{}», ok", "AKIA", noise(3, 16, upper))),
        ("aws-bedrock-key", format!("«{}{}=» ok", "ABSK", n(120))),
        ("github-token", format!("a «{}{}» b", "ghp_", n(36))),
        ("github-app-token", format!("a «{}{}.{}». b", "ghs_", n(36), n(20))),
        ("github-fine-grained-token", format!("«{}{}_{}»", "github_pat_", n(22), n(59))),
        ("gitlab-token", format!("t=«{}{}»;", "glpat-", n(20))),
        ("gitlab-token", format!("t=«{}{}.01.{}».", "glpat-", n(40), n(9))),
        ("slack-token", format!("«{}-{}-{}»", "xoxb", noise(4, 12, "0123456789"), n(24))),
        (
            "slack-app-token",
            format!(
                "«{}-1-A{}-{}-{}»",
                "xapp",
                noise(5, 10, upper),
                noise(6, 13, "0123456789"),
                noise(6, 64, "0123456789abcdef")
            ),
        ),
        (
            "slack-webhook",
            format!(
                "https://«hooks.slack.com/services/T{}/B{}/{}» ",
                noise(5, 8, upper),
                noise(6, 10, upper),
                n(24)
            ),
        ),
        ("stripe-key", format!("«{}{}»", "sk_live_", n(24))),
        ("stripe-webhook-secret", format!("«{}{}»", "whsec_", n(32))),
        ("openai-key", format!("«{}{}T3Blbk{}»!", "sk-proj-", n(58), n(58))),
        ("openai-bare-key", format!("«{}{}»", "sk-", n(48))),
        ("anthropic-key", format!("«{}{}AA»", "sk-ant-api03-", n(93))),
        ("google-api-key", format!("key «{}{}»", "AIza", n(35))),
        ("google-oauth", format!("«{}{}»", "ya29.", n(60))),
        (
            "huggingface-token",
            format!("«{}{}»", "hf_", noise(9, 34, ALNUM.trim_end_matches(|c: char| c.is_ascii_digit()))),
        ),
        ("npm-token", format!("«{}{}»", "npm_", n(36))),
        ("jwt-token", format!("Bearer «{}{}.{}{}.{}». Then", "eyJ", n(30), "eyJ", n(60), n(43))),
        ("private-key", format!("x «{begin}\nMIIE{}\n{}\n{end}»\n", n(60), n(64))),
        ("private-key", format!("x \"«{begin}\\nMIIE{}\\n{}==\\n{end}»\\n\"", n(60), n(64))),
        (
            "private-key",
            format!("«{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB12\n\n{}\n{end}»", n(64)),
        ),
        ("putty-key", format!("«Private-Lines: 14\n{}\n{}\n»--", n(64), n(30))),
        ("uri-password", format!("postgres://«app:p{}»@db.internal/x", n(9))),
        ("aws-secret-key", format!("aws_secret_access_key = «{}»\n", n(40))),
        ("named-secret", format!("{{\"client_secret\": \"«a1B2c3{}»\"}}", n(30))),
        ("email", "write to «ada.lovelace+x@mail.example.org». Thanks".to_owned()),
        ("email", "_«ada@example.org»_ (see «b@c.de»)".to_owned()),
        ("credit-card", format!("card «{}», thanks", ["4111", "1111", "1111", "1111"].concat())),
        ("credit-card", format!("card «{}»", ["4111", "1111", "1111", "1111"].join(" "))),
        ("us-ssn", format!("ssn «{}».", ["536", "90", "4399"].join("-"))),
        ("iban", format!("an «{}»,", ["DE89", "3704", "0044", "0532", "0130", "00"].join(" "))),
    ]
}
