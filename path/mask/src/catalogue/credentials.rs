//! Keys that open much: clouds, code hosts, model providers, key material; and what only its name gives away.

use super::{BASE64, DASHED, DOTTED, PEM, WORD, tail};
use crate::check::{
    AD_SECRET, ANY, KEY_BODY, NAMED_ALNUM, NAMED_HEX, NAMED_PASSWORD, NAMED_SECRET, NAMED_UUID, NO_SEQUENCE,
    PREFIXED, TELEGRAM, URI_TOKEN, USERINFO, VARIED, WITH_ALL_KINDS, WITH_DIGITS,
};
use crate::context::Context;
use crate::rule::{Check, Rule, Shape, Tail, Words};

/// A key of `family`, whose pattern begins where a word begins.
pub(super) fn key(family: &str, what: &str, pattern: &str, tail: Option<Tail>, source: &'static str) -> Rule {
    let (name, class) = (format!("{family}-{what}"), format!("credential.{family}"));
    Rule::spelled(name, class, format!(r"\b(?:{pattern})"), VARIED, source).goes_on(tail)
}

/// The same with another check.
pub(super) fn checked(check: Check, rule: Rule) -> Rule {
    Rule { check, ..rule }
}

/// A key of `family` without a prefix, which is looked for where a run is longer than words are.
pub(super) fn long(family: &str, what: &str, pattern: &str, source: &'static str) -> Rule {
    let rule = key(family, what, pattern, None, source);
    Rule { shape: Shape::After(Context::Long, format!("(?:{pattern})").into()), ..rule }
}

/// A key's begin line, at most three header lines, and the beginning of its body.
const BEGIN_KEY: &str = concat!(
    r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    r#"(?:[\s"'+,]|\\[nrt"]){1,12}"#,
    r#"(?:[A-Z][A-Za-z-]{2,20}: ?[^\r\n\\]{1,80}(?:\r?\n|\\r\\n|\\n){1,2}){0,3}"#,
    r#"[A-Za-z0-9/=][A-Za-z0-9+/=\s"',\\]{23}"#,
);

/// `://user:password@`.
const USER_PASSWORD: &str = concat!(
    r#"://(?:[!$-.0-9;=A-Z_a-z~]|[\xC2-\xF4][\x80-\xBF]{1,3}){0,64}:"#,
    r#"(?:[!$-.0-;=?A-Z\[\]^_a-~@]|[\xC2-\xF4][\x80-\xBF]{1,3}){1,128}@"#
);

/// Keys and tokens that say themselves what they are.
pub(super) fn spelled() -> Vec<Rule> {
    let aws = "AWS IAM user guide, unique identifiers";
    let github = "GitHub docs, token formats";
    let gitlab = "GitLab docs, token prefixes";
    let slack = "Slack API docs, token types";
    let google = "Google Cloud docs, API keys and OAuth 2.0";
    let azure = "Microsoft Learn, Azure credentials";
    vec![
        key("aws", "access-key-id", r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", None, aws),
        key("aws", "bedrock-key", r"ABSK[A-Za-z0-9+/]{105}", BASE64, "Amazon Bedrock user guide, API keys"),
        checked(ANY, key("aws", "bedrock-session-key", r"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", BASE64, "Amazon Bedrock user guide, API keys")),
        key("github", "token", r"gh[pour]_[A-Za-z0-9]{36}", WORD, github),
        key("github", "app-token", r"ghs_[A-Za-z0-9]{36}", DOTTED, github),
        key("github", "fine-grained-token", r"github_pat_[A-Za-z0-9_]{36}", WORD, github),
        key("gitlab", "token", r"(?:gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-|GR1348941)[A-Za-z0-9_-]{20}", DOTTED, gitlab),
        key("gitlab", "session", r"_gitlab_session=[a-z0-9]{32}", WORD, gitlab),
        checked(WITH_DIGITS, key("slack", "token", r"xox[abrsocd]-[A-Za-z0-9%-]{18}|xox[pe]-(?:[0-9]{10,13}-){3}[A-Za-z0-9]{20}|xoxe(?:\.xox[a-z])?-[0-9]-[A-Za-z0-9%-]{18}", tail("[A-Za-z0-9%/+=-]*"), slack)),
        key("slack", "app-token", r"xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[a-f0-9]{20}", WORD, slack),
        key("slack", "webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{24}", tail("[A-Za-z0-9+/]*"), "Slack API docs, incoming webhooks"),
        key("stripe", "key", r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10}", WORD, "Stripe docs, API keys"),
        key("stripe", "webhook-secret", r"whsec_[A-Za-z0-9+/]{24}", BASE64, "Stripe docs, webhook signatures"),
        key("anthropic", "key", r"sk-ant-(?:api|admin)[0-9]{2,3}-[A-Za-z0-9_-]{93}AA\b", None, "Anthropic docs, API keys"),
        key("anthropic", "session", r"sk-ant-(?:oat|ort|sid)[0-9]{2}-[A-Za-z0-9_-]{20}", DASHED, "Anthropic docs, API keys"),
        key("openrouter", "key", r"sk-or-v1-[a-f0-9]{64}", WORD, "OpenRouter docs, authentication"),
        key("openai", "key", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20}", DASHED, "OpenAI docs, API keys"),
        key("openai", "old-key", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", WORD, "OpenAI docs, API keys"),
        key("openai", "bare-key", r"sk-[A-Za-z0-9]{40}", WORD, "OpenAI docs, API keys"),
        key("deepseek", "key", r"sk-[a-f0-9]{32}\b", None, "DeepSeek API docs"),
        checked(NO_SEQUENCE, key("google", "api-key", r"AIza[A-Za-z0-9_-]{35}\b{end-half}", None, google)),
        key("google", "oauth", r"ya29\.[A-Za-z0-9_-]{20}|1//0[A-Za-z0-9_-]{30}|GOCSPX-[A-Za-z0-9_-]{28}|AQ\.Ab8R[A-Za-z0-9_-]{32}", DASHED, google),
        Rule { check: AD_SECRET, ..long("azure", "ad-secret", r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?:[^A-Za-z0-9_~.,-]|\z)", azure) },
        key("azure", "storage-key", r"(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{43}", BASE64, azure),
        key("azure", "sas", r"sig=[A-Za-z0-9%+/_-]{32}", tail("[A-Za-z0-9%+/=_-]*"), azure),
        long("azure", "devops-token", r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4,5}\b", azure),
        long("azure", "registry-key", r"[A-Za-z0-9+/]{42}\+ACR[A-Za-z0-9]{6}\b", azure),
        long("azure", "service-key", r"[A-Za-z0-9]{33}AC(?:[A-Za-z0-9]{4}JQQJ99[A-Za-z0-9]{35}|DbQE[A-Za-z0-9]{36})\b", azure),
        long("azure", "function-key", r"[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]==", azure),
        key("huggingface", "token", r"(?:hf_|api_org_)[A-Za-z]{34}\b", None, "Hugging Face docs, user access tokens"),
        key("groq", "key", r"gsk_[A-Za-z0-9]{52}", WORD, "Groq docs"),
        key("xai", "key", r"xai-[A-Za-z0-9_-]{80}", DASHED, "xAI docs"),
        key("perplexity", "key", r"pplx-[A-Za-z0-9]{48}", WORD, "Perplexity docs"),
        key("replicate", "token", r"r8_[A-Za-z0-9]{37}\b", None, "Replicate docs"),
        key("nvidia", "key", r"nvapi-[A-Za-z0-9_-]{60}", DASHED, "NVIDIA NGC docs"),
        key("elevenlabs", "key", r"sk_[a-f0-9]{48}\b", None, "ElevenLabs docs"),
        key("cerebras", "key", r"csk-[a-z0-9]{48}", WORD, "Cerebras docs"),
        key("pinecone", "key", r"pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{63}", WORD, "Pinecone docs"),
        key("langsmith", "key", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}", WORD, "LangSmith docs"),
        key("wandb", "key", r"wandb_v1_[A-Za-z0-9_]{40}", WORD, "Weights & Biases docs"),
        key("npm", "token", r"npm_[A-Za-z0-9]{36}", WORD, "npm docs, access tokens"),
        key("pypi", "token", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50}", DASHED, "PyPI help, API tokens"),
        key("docker", "token", r"dckr_[po]at_[A-Za-z0-9_-]{27}", DASHED, "Docker docs, access tokens"),
        key("docker", "swarm-token", r"SWMTKN-1-[a-z0-9]{40}", DASHED, "Docker docs, swarm join tokens"),
        // The header is JSON in ASCII, whose base64url has neither `-` nor `_` unless a `?`, `>` or `~` falls on
        // a third byte. Without them a header ends where words end, and a text full of headers costs no more.
        key("jwt", "token", r"ey[A-Za-z0-9]{14,400}\.ey[A-Za-z0-9_-]{10}", DOTTED, "RFC 7515, section 3"),
        key("jwt", "in-base64", r"ZXlK[A-Za-z0-9+/]{60}", BASE64, "RFC 7515, section 3, in base64"),
        Rule::spelled("private-key", "credential.private-key", BEGIN_KEY, KEY_BODY, "RFC 7468; RFC 9580, section 6.2").goes_on(PEM),
        Rule::spelled("putty-key", "credential.private-key", r"\bPrivate-Lines: [0-9]{1,3}\s{1,4}[A-Za-z0-9+/=]{24}", KEY_BODY, "PuTTY manual, appendix C").goes_on(tail(r"[A-Za-z0-9+/=\s]*")),
        checked(ANY, key("age", "key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}\b", None, "age specification, X25519 identities")),
        Rule::spelled("uri-token", "credential.uri", r"://[A-Za-z0-9_.~-]{16,100}@", URI_TOKEN, "RFC 3986, section 3.2.1"),
        Rule::spelled("uri-password", "credential.uri", USER_PASSWORD, USERINFO, "RFC 3986, section 3.2.1"),
        Rule::spelled("password-hash", "credential.password-hash", r"\$(?:krb5(?:asrep|tgs|pa)\$[0-9]{1,2}\$[!-~]{20}|2[abxy]\$[0-9]{2}\$[A-Za-z0-9./]{53}|(?:argon2(?:id|i|d)|scrypt|[15-9y])\$[A-Za-z0-9=,.$+/-]{20})", ANY, "crypt(5), PHC string format").goes_on(tail(r"[A-Za-z0-9=,.$+/:*@-]*")),
        checked(TELEGRAM, key("telegram", "token", r"[0-9]{6,12}:A[A-Za-z0-9_-]{34}(?:[^A-Za-z0-9_-]|\z)", None, "Telegram Bot API, authorizing your bot")),
        checked(WITH_ALL_KINDS, key("hashicorp", "old-vault-token", r"s\.[A-Za-z0-9]{24}\b", None, "Vault docs, tokens")),
        key("hashicorp", "vault-token", r"hv[sbr]\.[A-Za-z0-9_-]{24}", DASHED, "Vault docs, tokens"),
        long("hashicorp", "terraform-token", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60}", "Terraform docs, API tokens").goes_on(DASHED),
        Rule::spelled("authorization-basic", "credential.http", r"(?i:basic) (?:[A-Za-z0-9+/_-]{12,159}(?:[^A-Za-z0-9+/_-]|\z)|[A-Za-z0-9+/_-]{160})", crate::check::BASIC, "RFC 7617").goes_on(BASE64),
        Rule::spelled("prefixed-hex", "credential.generic", r"\b(?:key|token|secret|apikey|api_key)_[a-f0-9]{24,64}\b", VARIED, "no published form: a name that says secret, and hexadecimal digits"),
        Rule::spelled("sidekiq-key", "credential.sidekiq", r"\b[a-f0-9]{8}:[a-f0-9]{8}\b", VARIED, "Sidekiq wiki, commercial installation").near(&["contribsys", "sidekiq"]),
        Rule::spelled("curl-user", "credential.http", r#"(?:-u|--user)[ =]{0,2}["']?[^\s"':$]{1,64}["']?:["']?[^\s"'$]{0,64}["']?(?:[\s"']|\z)"#, crate::check::CURL_USER, "curl manual, --user"),
    ]
}

/// What a random value is made of, and where it ends.
const VALUE: &str = r"[A-Za-z0-9_~+/.|-]{12,63}(?:[^A-Za-z0-9_~+/.|-]|\z)|[A-Za-z0-9_~+/.|-]{64}";
/// Of a value of 32 or 40 hexadecimal digits.
const HEX: &str = r"[A-Fa-f0-9]{32}(?:[A-Fa-f0-9]{8})?(?:[^A-Za-z0-9_~+/.|-]|\z)";
/// Of a UUID.
const UUID: &str =
    r"[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}(?:[^A-Za-z0-9_~+/.|-]|\z)";
/// The same, longer than words are, behind a prefix that begins with a letter.
const LONG_VALUE: &str =
    r"[A-Za-z][A-Za-z0-9_~+/.|-]{27,62}(?:[^A-Za-z0-9_~+/.|-]|\z)|[A-Za-z][A-Za-z0-9_~+/.|-]{63}";
/// And how it goes on.
pub(super) const VALUE_TAIL: Option<Tail> = tail("(?:[A-Za-z0-9_~+/.=|-]*[A-Za-z0-9_~+/=|-])?");
/// How a password goes on.
const PASSWORD_TAIL: Option<Tail> = tail(r#"[!-~&&[^"'`<>,;(){}\[\]\\]]*"#);
/// What a password is made of.
const PASSWORD: &str = r#"[!-~&&[^"'`<>,;:=(){}\[\]\\]]{6,63}(?:[^!-~]|["'`<>,;:=(){}\[\]\\]|\z)"#;

fn behind(
    context: Context,
    name: &'static str,
    class: &'static str,
    check: Check,
    source: &'static str,
) -> Rule {
    let rule = Rule::spelled(name, class, "", check, source).goes_on(VALUE_TAIL);
    Rule { shape: Shape::After(context, VALUE.into()), ..rule }
}

/// Secrets that only their name gives away.
pub(super) fn announced() -> Vec<Rule> {
    let named = |class: &'static str,
                 name: &'static str,
                 words: &'static [&'static str],
                 check,
                 source: &'static str| Rule {
        near: Words::Fixed(words),
        ..behind(Context::Near, name, class, check, source)
    };
    let hex = |class, name, words: &'static [&'static str], source| Rule {
        shape: Shape::After(Context::Near, HEX.into()),
        ..named(class, name, words, NAMED_HEX, source)
    };
    let uuid = |class, name, words: &'static [&'static str], source| Rule {
        shape: Shape::After(Context::Near, UUID.into()),
        ..named(class, name, words, NAMED_UUID, source)
    };
    vec![
        behind(
            Context::Aws,
            "aws-secret-key",
            "credential.aws",
            NAMED_ALNUM,
            "AWS IAM user guide, access keys",
        ),
        hex(
            "credential.datadog",
            "datadog-key",
            &["datadog", "dd"],
            "Datadog docs, API and application keys",
        ),
        hex("credential.twilio", "twilio-auth-token", &["twilio"], "Twilio docs, auth tokens"),
        named("credential.mistral", "mistral-key", &["mistral"], NAMED_ALNUM, "Mistral docs"),
        named("credential.cohere", "cohere-key", &["cohere", "co_api_key"], NAMED_ALNUM, "Cohere docs"),
        hex("credential.wandb", "wandb-old-key", &["wandb", "weights"], "Weights & Biases docs"),
        named("credential.okta", "okta-token", &["okta", "ssws"], NAMED_ALNUM, "Okta docs, API tokens"),
        uuid("credential.heroku", "heroku-old-key", &["heroku"], "Heroku docs, platform API"),
        uuid("credential.snyk", "snyk-token", &["snyk"], "Snyk docs, API tokens"),
        uuid("credential.postmark", "postmark-token", &["postmark"], "Postmark docs, server tokens"),
        hex("credential.mailgun", "mailgun-old-key", &["mailgun"], "Mailgun docs, API keys"),
        named(
            "credential.vercel",
            "vercel-old-token",
            &["vercel"],
            NAMED_ALNUM,
            "Vercel docs, access tokens",
        ),
        named(
            "credential.confluent",
            "confluent-old-key",
            &["confluent"],
            NAMED_ALNUM,
            "Confluent docs, API keys",
        ),
        named(
            "credential.atlassian",
            "atlassian-old-token",
            &["atlassian", "jira", "confluence"],
            NAMED_ALNUM,
            "Atlassian docs, API tokens",
        ),
        hex("credential.meraki", "meraki-key", &["meraki"], "Cisco Meraki docs, API keys"),
        named(
            "credential.paypal",
            "paypal-secret",
            &["paypal", "braintree"],
            NAMED_ALNUM,
            "PayPal docs, REST credentials",
        ),
        super::more::behind_a_name(),
        behind(
            Context::Near,
            "named-secret",
            "credential.generic",
            NAMED_SECRET,
            "no published form: a name that says secret, and a value that looks drawn by chance",
        ),
        Rule {
            shape: Shape::After(Context::Long, LONG_VALUE.into()),
            ..behind(
                Context::Long,
                "prefixed-secret",
                "credential.generic",
                PREFIXED,
                "no published form: a prefix, and a long body that looks drawn by chance",
            )
        },
        Rule {
            shape: Shape::After(Context::Password, PASSWORD.into()),
            ..Rule::spelled(
                "named-password",
                "credential.generic",
                "",
                NAMED_PASSWORD,
                "no published form: a name that says password, and a value that is no word of a program",
            )
            .goes_on(PASSWORD_TAIL)
        },
    ]
}
