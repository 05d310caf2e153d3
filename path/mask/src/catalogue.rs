//! The table of rules. Where two rules match at one place the longer match wins, then the one further up.
//! A rule with a tail settles as soon as its head has matched, so no head may begin like another's.

use crate::check::{card, email, iban, key_body, random, ssn, userinfo, varied};
use crate::context::Context;
use crate::rule::{Around, Check, Rule, Shape, Tail};

/// Letters and digits go on.
const WORD: Option<Tail> = tail("[A-Za-z0-9_]*");
/// Letters, digits and dashes go on.
const DASHED: Option<Tail> = tail("[A-Za-z0-9_-]*");
/// Dashed words joined by dots go on. A dot that ends a sentence stays.
const DOTTED: Option<Tail> = tail(r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*");
/// Base64 goes on.
const BASE64: Option<Tail> = tail("[A-Za-z0-9+/_-]*={0,2}");
/// A key's body goes on to its end line, in one line or many, quoted or not.
const PEM: Option<Tail> = tail(concat!(r#"[A-Za-z0-9+/=\s"',\\]*"#, r"(?:-----END [A-Z0-9 ]{1,40}-----)?"));

/// A key's begin line, at most three header lines, and the beginning of its body.
const BEGIN_KEY: &str = concat!(
    r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    r#"(?:[\s"'+,]|\\[nrt"]){1,12}"#,
    r#"(?:[A-Z][A-Za-z-]{2,20}: ?[^\r\n\\]{1,80}(?:\r?\n|\\r\\n|\\n){1,2}){0,3}"#,
    r#"[A-Za-z0-9/=][A-Za-z0-9+/=\s"',\\]{23}"#,
);

/// The longest unbounded value. Tails are followed in constant state, so this bounds damage, not memory.
const CAP: usize = 64 * 1024;

const fn tail(pattern: &'static str) -> Option<Tail> {
    Some(Tail { pattern, cap: CAP })
}

const fn spelled(
    name: &'static str,
    class: &'static str,
    pattern: &'static str,
    check: Check,
    tail: Option<Tail>,
    source: &'static str,
) -> Rule {
    Rule { name, class, shape: Shape::Spelled(pattern), check, tail, source }
}

/// Keys and tokens that say themselves what they are.
const CREDENTIALS: &[Rule] = &[
    spelled(
        "aws-access-key-id",
        "credential.aws",
        r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        varied,
        None,
        "AWS IAM user guide, unique identifiers",
    ),
    spelled(
        "aws-bedrock-key",
        "credential.aws",
        r"\b(?:ABSK[A-Za-z0-9+/]{40}|bedrock-api-key-[A-Za-z0-9+/]{20})",
        varied,
        BASE64,
        "Amazon Bedrock user guide, API keys",
    ),
    spelled(
        "github-token",
        "credential.github",
        r"\bgh[pour]_[A-Za-z0-9]{36}",
        varied,
        WORD,
        "GitHub docs, token formats",
    ),
    spelled(
        "github-app-token",
        "credential.github",
        r"\bghs_[A-Za-z0-9]{36}",
        varied,
        DOTTED,
        "GitHub docs, token formats",
    ),
    spelled(
        "github-fine-grained-token",
        "credential.github",
        r"\bgithub_pat_[A-Za-z0-9_]{36}",
        varied,
        WORD,
        "GitHub docs, token formats",
    ),
    spelled(
        "gitlab-token",
        "credential.gitlab",
        r"\b(?:gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-|GR1348941)[A-Za-z0-9_-]{20}",
        varied,
        DOTTED,
        "GitLab docs, token prefixes",
    ),
    spelled(
        "slack-token",
        "credential.slack",
        r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9%-]{18}",
        varied,
        tail("[A-Za-z0-9%/+=-]*"),
        "Slack API docs, token types",
    ),
    spelled(
        "slack-app-token",
        "credential.slack",
        r"\bxapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[a-f0-9]{20}",
        varied,
        WORD,
        "Slack API docs, token types",
    ),
    spelled(
        "slack-webhook",
        "credential.slack",
        r"\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{24}",
        varied,
        tail("[A-Za-z0-9+/]*"),
        "Slack API docs, incoming webhooks",
    ),
    spelled(
        "stripe-key",
        "credential.stripe",
        r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10}",
        varied,
        WORD,
        "Stripe docs, API keys",
    ),
    spelled(
        "stripe-webhook-secret",
        "credential.stripe",
        r"\bwhsec_[A-Za-z0-9+/]{24}",
        varied,
        BASE64,
        "Stripe docs, webhook signatures",
    ),
    spelled(
        "openai-key",
        "credential.openai",
        r"\bsk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20}|[A-Za-z0-9]{32})",
        varied,
        DASHED,
        "OpenAI docs, API keys",
    ),
    spelled(
        "anthropic-key",
        "credential.anthropic",
        r"\bsk-ant-[a-z]{3,6}[0-9]{2,3}-[A-Za-z0-9_-]{20}",
        varied,
        DASHED,
        "Anthropic docs, API keys",
    ),
    spelled(
        "google-api-key",
        "credential.google",
        r"\bAIza[A-Za-z0-9_-]{35}",
        varied,
        DASHED,
        "Google Cloud docs, API keys",
    ),
    spelled(
        "google-oauth",
        "credential.google",
        r"\b(?:ya29\.[A-Za-z0-9_-]{20}|1//0[A-Za-z0-9_-]{30}|GOCSPX-[A-Za-z0-9_-]{28}|AQ\.Ab8RN6[A-Za-z0-9_-]{30})",
        varied,
        DASHED,
        "Google Cloud docs, OAuth 2.0",
    ),
    spelled(
        "huggingface-token",
        "credential.huggingface",
        r"\b(?:hf_|api_org_)[A-Za-z]{34}",
        varied,
        WORD,
        "Hugging Face docs, user access tokens",
    ),
    spelled("npm-token", "credential.npm", r"\bnpm_[A-Za-z0-9]{36}", varied, WORD, "npm docs, access tokens"),
    // The header is JSON in ASCII, whose base64url has neither `-` nor `_` unless a `?`, `>` or `~` falls on
    // a third byte. Without them a header ends where words end, and a text full of headers costs no more.
    spelled(
        "jwt",
        "credential.jwt",
        r"\bey[A-Za-z0-9]{14,400}\.ey[A-Za-z0-9_-]{10}",
        varied,
        DOTTED,
        "RFC 7515, section 3",
    ),
    spelled(
        "private-key",
        "credential.private-key",
        BEGIN_KEY,
        key_body,
        PEM,
        "RFC 7468; RFC 9580, section 6.2",
    ),
    spelled(
        "putty-key",
        "credential.private-key",
        r"\bPrivate-Lines: [0-9]{1,3}\s{1,4}[A-Za-z0-9+/=]{24}",
        key_body,
        tail(r"[A-Za-z0-9+/=\s]*"),
        "PuTTY manual, appendix C",
    ),
    spelled(
        "uri-password",
        "credential.uri",
        concat!(
            r#"://(?:[!$-.0-9;=A-Z_a-z~]|[\xC2-\xF4][\x80-\xBF]{1,3}){0,64}:"#,
            r#"(?:[!$-.0-;=?A-Z\[\]^_a-~@]|[\xC2-\xF4][\x80-\xBF]{1,3}){1,128}@"#
        ),
        userinfo,
        None,
        "RFC 3986, section 3.2.1",
    ),
];

/// Secrets that only their name gives away.
const ANNOUNCED: &[Rule] = &[
    Rule {
        name: "aws-secret-key",
        class: "credential.aws",
        shape: Shape::After(Context::Aws, "[A-Za-z0-9/+]{20}"),
        check: random,
        tail: BASE64,
        source: "AWS IAM user guide, access keys",
    },
    Rule {
        name: "named-secret",
        class: "credential.generic",
        shape: Shape::After(Context::Secret, "[A-Za-z0-9_~+/=-]{20}"),
        check: random,
        tail: tail("[A-Za-z0-9_~+/=-]*"),
        source: "no published form: a name that says secret, and a value that looks drawn by chance",
    },
];

/// Values about people.
const PERSONAL: &[Rule] = &[
    Rule {
        name: "email",
        class: "pii.email",
        shape: Shape::Around(Around {
            sign: b'@',
            run: |b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b),
            // Not `_`: in Markdown it is more often emphasis than part of an address.
            first: |b| b.is_ascii_alphanumeric(),
            longest: 64,
            right: r"@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,40})(?:\b|_)",
        }),
        check: email,
        tail: None,
        source: "RFC 5321, section 4.1.2 (dot-strings and host names)",
    },
    spelled(
        "credit-card",
        "pii.credit-card",
        r"\b[1-6](?:[0-9][ -]?){10,17}[0-9]\b|\b81(?:[0-9][ -]?){13,16}[0-9]\b",
        card,
        None,
        "ISO/IEC 7812-1",
    ),
    spelled(
        "us-ssn",
        "pii.us-ssn",
        r"\b[0-8][0-9]{2}[- ][0-9]{2}[- ][0-9]{4}\b",
        ssn,
        None,
        "SSA POMS RM 10201",
    ),
    spelled("iban", "pii.iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b", iban, None, "ISO 13616-1"),
];

/// Every rule there is, in order of precedence.
pub(crate) fn standard() -> Vec<Rule> {
    [CREDENTIALS, ANNOUNCED, PERSONAL].concat()
}
