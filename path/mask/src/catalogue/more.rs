//! More services' keys, by their published prefixes, and keys that only their maker's name gives away.

use super::credentials::{VALUE_TAIL, checked, key, long};
use super::{BASE64, DASHED, DOTTED, WORD, tail};
use crate::check::written::{AFTER_QUOTE, JWE, MAKER, makers};
use crate::check::{ANY, KEY_BODY, NO_SEQUENCE, TELEGRAM, VARIED, WITH_ALL_KINDS, WITH_DIGITS};
use crate::context::Context;
use crate::rule::{Rule, Shape, Words};

/// A UUID in hexadecimal digits.
const UUID: &str = "[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}";

/// A run longer than words are.
const LONG_RUN: &str = r"[A-Za-z0-9_~+/.|-]{28,63}(?:[^A-Za-z0-9_~+/.|-]|\z)|[A-Za-z0-9_~+/.|-]{64}";

/// `prefix` and a UUID.
fn with_uuid(family: &str, what: &str, prefix: &str, source: &'static str) -> Rule {
    key(family, what, &format!(r"{prefix}{UUID}\b"), None, source)
}

/// Keys that say themselves what they are.
pub(super) fn spelled() -> Vec<Rule> {
    let mut rules = known();
    rules.extend(models());
    rules.extend(places());
    rules
}

/// Further forms of families that have rules already.
fn known() -> Vec<Rule> {
    vec![
        key(
            "github",
            "app-jwt",
            r"ghs_[0-9]{1,12}_ey[A-Za-z0-9_-]{20}",
            DOTTED,
            "GitHub changelog, app installation tokens",
        ),
        key(
            "slack",
            "old-workspace-token",
            r"xox[ar]-(?:[0-9]-)?[A-Za-z0-9]{8,48}\b",
            None,
            "Slack API docs, legacy tokens",
        ),
        checked(
            WITH_DIGITS,
            key("google", "hmac-id", r"GOOG[A-Z0-9]{20,58}\b", None, "Google Cloud Storage docs, HMAC keys"),
        ),
        key(
            "google",
            "client-id",
            r"[0-9]{6,16}-[a-z0-9_]{32}\.apps\.googleusercontent\.com\b",
            None,
            "Google Cloud docs, OAuth 2.0",
        ),
        checked(
            ANY,
            key(
                "age",
                "hybrid-key",
                r"AGE-SECRET-KEY-PQ-1[0-9A-Z]{58}\b",
                None,
                "age specification, hybrid identities",
            ),
        ),
        key(
            "dynatrace",
            "client-secret",
            r"dt0s[0-9]{2}\.[A-Z0-9]{8}\.[A-Z0-9]{64}\b",
            None,
            "Dynatrace docs, OAuth clients",
        ),
        key("posthog", "other-key", r"ph[ar]_[A-Za-z0-9_]{41}", WORD, "PostHog docs"),
        key("packagist", "other-token", r"packagist_[a-z]{3}_[a-f0-9]{40}", WORD, "Packagist docs"),
        key(
            "tailscale",
            "short-key",
            r"tskey-[a-z]{2,12}-[A-Za-z0-9]{4,24}-[A-Za-z0-9]{4,15}\b",
            None,
            "Tailscale docs, key prefixes",
        ),
        key("supabase", "old-token", r"sbp_[a-z0-9]{40}", WORD, "Supabase docs, API keys"),
        key("replicate", "long-token", r"r8_[A-Za-z0-9]{38}", WORD, "Replicate docs"),
        key(
            "sourcegraph",
            "instance-token",
            r"sgp_[a-fA-F0-9]{16}_local_[a-fA-F0-9]{40}\b",
            None,
            "Sourcegraph docs, access tokens",
        ),
        key("square", "long-token", r"EAAA[A-Za-z0-9_-]{61}", DASHED, "Square docs, access tokens"),
        key("checkout", "staged-key", &format!(r"[sp]k_test_{UUID}\b"), None, "Checkout.com docs"),
        key(
            "teams",
            "tenant-webhook",
            r"webhook\.office\.com/webhookb2/[A-Za-z0-9-]{36}@[A-Za-z0-9-]{36}/IncomingWebhook/[A-Za-z0-9]{32}",
            tail("[A-Za-z0-9/-]*"),
            "Microsoft Learn, incoming webhooks",
        ),
        key(
            "zapier",
            "short-webhook",
            r"hooks\.zapier\.com/hooks/catch/[A-Za-z0-9]{11}",
            tail("[A-Za-z0-9/]*"),
            "Zapier docs, webhooks",
        ),
        checked(
            TELEGRAM,
            key(
                "telegram",
                "other-token",
                r"[0-9]{8,10}:[A-Za-z0-9_-]{35}(?:[^A-Za-z0-9_-]|\z)",
                None,
                "Telegram Bot API, authorizing your bot",
            ),
        )
        .near(&["telegram"]),
        checked(
            JWE,
            key(
                "jwt",
                "encrypted",
                r"ey[A-Za-z0-9]{14,400}\.[A-Za-z0-9_-]{20}",
                DOTTED,
                "RFC 7516, section 3",
            ),
        ),
        Rule::spelled(
            "docker-auth",
            "credential.docker",
            r#""auth" ?: ?"[A-Za-z0-9+/]{12}"#,
            AFTER_QUOTE,
            "Docker docs, config.json",
        )
        .goes_on(BASE64),
        key(
            "kubernetes",
            "bootstrap-token",
            r"[a-z0-9]{6}\.[a-z0-9]{16}\b",
            None,
            "Kubernetes docs, bootstrap tokens",
        )
        .near(&["kubeadm", "bootstrap", "bootstrap token", "bootstrap-token"]),
        key("twitter", "access-token", r"[0-9]{15,20}-[A-Za-z0-9]{20,45}\b", None, "X docs, OAuth 1.0a")
            .near(&["twitter"]),
        key("launchdarkly", "relay-key", &format!(r"rel-{UUID}\b"), None, "LaunchDarkly docs, relay proxy"),
    ]
}

/// Makers of models, and what is built with them.
fn models() -> Vec<Rule> {
    vec![
        key("together", "key", r"tgp_v1_[A-Za-z0-9_-]{43}", DASHED, "Together docs"),
        checked(WITH_ALL_KINDS, key("voyageai", "key", r"pa-[A-Za-z0-9_-]{43}", DASHED, "Voyage AI docs")),
        long("zhipu", "key", r"[a-f0-9]{32}\.[A-Za-z0-9]{16}\b", "Zhipu AI docs"),
        key("pyx", "key", r"sk-pyx-[A-Za-z0-9]{40}", WORD, "pyx docs"),
        key("apify", "token", r"apify_(?:api|proxy)_[A-Za-z0-9]{30}", WORD, "Apify docs"),
        key("tavily", "key", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}", WORD, "Tavily docs"),
        key("firecrawl", "key", r"fc-[a-f0-9]{32}\b", None, "Firecrawl docs"),
        key("e2b", "key", r"e2b_[a-f0-9]{40}\b", None, "E2B docs"),
        key("jina", "key", r"jina_[A-Za-z0-9_-]{60}", DASHED, "Jina AI docs"),
        key("anyscale", "key", r"esecret_[A-Za-z0-9]{26}\b", None, "Anyscale docs"),
        key("mem0", "key", r"m0-[A-Za-z0-9]{40}\b", None, "Mem0 docs"),
        key("coderabbit", "key", r"cr-[a-f0-9]{58}\b", None, "CodeRabbit docs"),
        key("builderio", "key", r"bpk-[a-f0-9]{32}\b", None, "Builder.io docs, private keys"),
        key("composio", "key", r"ak_[A-Za-z0-9_-]{20}", DASHED, "Composio docs").near(&["composio"]),
        key("nightfall", "key", r"NF-[A-Za-z0-9]{32}\b", None, "Nightfall docs"),
        key(
            "scale",
            "key",
            r"(?:live|test)_auth_[a-f0-9]{32}\b|(?:live|test)_[a-f0-9]{32}\b",
            None,
            "Scale docs",
        ),
    ]
}

/// Platforms, payment, messages.
fn places() -> Vec<Rule> {
    let dbt = "dbt docs, service tokens";
    vec![
        key("sumologic", "access-id", r"su[A-Za-z0-9]{12}\b", None, "Sumo Logic docs, access keys")
            .near(&["sumo", "sumologic"]),
        long(
            "ebay",
            "client-id",
            r"[A-Za-z0-9_]{2,40}-[A-Za-z0-9_]{2,40}-(?:PRD|SBX)-[a-z0-9]{8,9}-[a-f0-9]{8}\b",
            "eBay docs, keysets",
        ),
        key(
            "ebay",
            "cert-id",
            r"(?:PRD|SBX)-[a-f0-9]{12}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}\b",
            None,
            "eBay docs, keysets",
        ),
        Rule {
            class: "credential.generic".into(),
            ..key(
                "short",
                "key",
                r"[sp]k_[a-f0-9]{32}\b",
                None,
                "no published form: a prefix that says key, and hexadecimal digits",
            )
        },
        with_uuid("axiom", "token", "xa[ap]t-", "Axiom docs, tokens"),
        with_uuid("openvsx", "token", "ovsxp_", "Open VSX wiki, access tokens"),
        with_uuid("wakatime", "key", "waka_", "WakaTime docs"),
        key("dropbox", "token", r"sl\.(?:u\.)?[A-Za-z0-9_-]{120}", DASHED, "Dropbox docs, OAuth guide"),
        long(
            "dropbox",
            "old-token",
            r"[A-Za-z0-9]{11}AAAAAAAAAA[A-Za-z0-9_-]{43}",
            "Dropbox docs, OAuth guide",
        ),
        key("intra42", "secret", r"s-s4t2(?:ud|af)-[a-f0-9]{64}\b", None, "42 API docs"),
        key(
            "mercadopago",
            "token",
            r"(?:APP_USR|TEST)-[0-9]{10,20}-[0-9]{6}-[a-f0-9]{32}(?:__[A-Z_]{5}__)?-[0-9]{6,12}\b",
            None,
            "Mercado Pago docs, credentials",
        ),
        key("mergify", "key", r"mergify_application_key_[A-Za-z0-9_-]{40}", DASHED, "Mergify docs"),
        key("zoho", "token", r"1000\.[a-f0-9]{32}\.[a-f0-9]{30,32}\b", None, "Zoho docs, OAuth"),
        key("ubidots", "token", r"BB(?:FF|US)-[A-Za-z0-9]{30}", WORD, "Ubidots docs"),
        key("telnyx", "key", r"KEY[A-Z0-9][A-Za-z0-9_-]{50}", DASHED, "Telnyx docs").near(&["telnyx"]),
        checked(
            NO_SEQUENCE,
            key(
                "salesforce",
                "consumer-key",
                r"3MVG9[A-Za-z0-9._]{60}",
                tail("[A-Za-z0-9._]*"),
                "Salesforce docs, connected apps",
            ),
        ),
        key(
            "salesforce",
            "session",
            r"00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{60}",
            tail("[A-Za-z0-9._]*"),
            "Salesforce docs, session ids",
        ),
        key("stytch", "secret", r"secret-(?:test|live)-[A-Za-z0-9_-]{30}", BASE64, "Stytch docs"),
        key("statsig", "secret", r"secret-[A-Za-z0-9]{43}\b", None, "Statsig docs"),
        key("segment", "token", r"sgp_[A-Za-z0-9]{64}\b", None, "Segment docs, public API"),
        key("trello", "token", r"ATTA[a-f0-9]{64}[A-F0-9]{8}\b", None, "Atlassian docs, API tokens"),
        key("intercom", "token", r"dG9rO[A-Za-z0-9+/_-]{53}", BASE64, "Intercom docs"),
        key("mapbox", "token", r"[spt]k\.eyJ[A-Za-z0-9_-]{50}", DOTTED, "Mapbox docs, access tokens"),
        key("sqreen", "token", r"org_[a-f0-9]{60,64}\b", None, "Sqreen docs"),
        key("flexport", "token", r"shltm_[A-Za-z0-9_-]{40}", DASHED, "Flexport docs"),
        key("fullstory", "key", r"(?:na1|eu1)\.[A-Za-z0-9+/]{80}", BASE64, "FullStory docs"),
        key("storecove", "key", r"storecove_[A-Za-z0-9_-]{30}", DASHED, "Storecove docs"),
        key("dbt", "token", r"dbt[cus]_[A-Za-z0-9_=-]{38}", DASHED, dbt),
        key("digitalocean", "spaces-key", r"DO00[A-Z0-9]{16}\b", None, "DigitalOcean docs, Spaces keys"),
        key("scaleway", "key", r"SCW[A-Z0-9]{17}\b", None, "Scaleway docs, API keys"),
        checked(
            WITH_ALL_KINDS,
            key("backblaze", "key", r"K00[0-9][A-Za-z0-9/+]{27}\b", None, "Backblaze docs, application keys"),
        ),
        key("baidu", "key", r"bce-v3/ALTAK-[A-Za-z0-9]{20,22}/[a-f0-9]{40}\b", None, "Baidu AI Cloud docs"),
        key(
            "bitwarden",
            "machine-token",
            &format!(r"0\.{UUID}\.[A-Za-z0-9]{{30}}:[A-Za-z0-9+/]{{20}}"),
            BASE64,
            "Bitwarden docs, Secrets Manager",
        ),
        key(
            "infisical",
            "token",
            r"st\.[a-f0-9]{24}\.[a-f0-9]{32}\.[a-f0-9]{32}\b",
            None,
            "Infisical docs, service tokens",
        ),
        key(
            "coinbase",
            "key-name",
            &format!("organizations/{UUID}/apiKeys/{UUID}"),
            None,
            "Coinbase docs, CDP keys",
        ),
        key("instagram", "token", r"IG(?:QV|QW|AA)[A-Za-z0-9_-]{100}", DASHED, "Meta docs, access tokens"),
        Rule::spelled(
            "roblox-session",
            "credential.roblox",
            r"_\|WARNING:-DO-NOT-SHARE-THIS\.[^|]{1,200}\|_[A-F0-9]{40}",
            ANY,
            "Roblox, .ROBLOSECURITY cookie",
        )
        .goes_on(WORD),
        Rule::spelled(
            "asaas-key",
            "credential.asaas",
            r"\$aact_(?:[a-z]{4}_)?[A-Za-z0-9]{20}",
            VARIED,
            "Asaas docs, API keys",
        )
        .goes_on(WORD),
        Rule::spelled(
            "ansible-vault",
            "credential.ansible",
            r"\$ANSIBLE_VAULT;1\.[0-9];AES256(?:;[A-Za-z0-9_.-]{0,40})?(?:\s|\\n){1,6}[0-9a-f]{40}",
            KEY_BODY,
            "Ansible docs, vault format",
        )
        .goes_on(tail(r"(?:[0-9a-f\s]|\\n)*")),
        Rule::spelled(
            "infura-url",
            "credential.infura",
            r"\binfura\.io/(?:ws/)?v3/[a-f0-9]{32}\b",
            VARIED,
            "Infura docs",
        ),
        Rule::spelled(
            "alchemy-url",
            "credential.alchemy",
            r"\balchemy(?:api)?\.(?:com|io)/(?:nft/)?v[23]/[A-Za-z0-9_-]{32}",
            VARIED,
            "Alchemy docs",
        )
        .goes_on(DASHED),
        Rule::spelled(
            "mattermost-webhook",
            "credential.mattermost",
            r"/hooks/[a-z0-9]{26}\b",
            VARIED,
            "Mattermost docs, incoming webhooks",
        ),
        Rule::spelled(
            "tines-webhook",
            "credential.tines",
            r"\btines\.(?:com|io)/webhook/[a-z0-9]{32}/[a-z0-9]{32}\b",
            VARIED,
            "Tines docs, webhooks",
        ),
        Rule::spelled(
            "azure-function-url",
            "credential.azure",
            r"\bazurewebsites\.net/api/[A-Za-z0-9_./-]{1,80}\?code=[A-Za-z0-9%/+_-]{20}",
            VARIED,
            "Microsoft Learn, Azure Functions keys",
        )
        .goes_on(tail("[A-Za-z0-9%/+=_-]*")),
        key("recaptcha", "key", r"6L[A-Za-z0-9_-]{38}", DASHED, "Google docs, reCAPTCHA").near(&[
            "recaptcha",
            "captcha",
            "grecaptcha",
        ]),
        checked(
            WITH_ALL_KINDS,
            key(
                "cloudflare",
                "turnstile-key",
                r"0x4AAAAAAA[A-Za-z0-9_-]{14}",
                DASHED,
                "Cloudflare docs, Turnstile",
            ),
        ),
        key("imagekit", "key", r"private_[A-Za-z0-9+/]{10}", BASE64, "ImageKit docs").near(&["imagekit"]),
        key("ngrok", "token", r"[12][A-Za-z0-9]{26}_[A-Za-z0-9]{20,22}\b", None, "ngrok docs, authtokens")
            .near(&["ngrok"]),
        key("lark", "token", r"[tu]-[A-Za-z0-9_.-]{28,32}\b", None, "Lark docs, access tokens").near(&[
            "lark",
            "larksuite",
            "feishu",
        ]),
        key("optimizely", "token", r"[A-Za-z0-9_-]{20,40}:[A-Za-z0-9_-]{20,40}\b", None, "Optimizely docs")
            .near(&["optimizely"]),
        key("gemfury", "token", r"[A-Za-z0-9]{20}:@(?:pypi|npm|gem|repo)\.fury\.io\b", None, "Gemfury docs"),
    ]
}

/// Keys without a form of their own, directly behind the name of whoever gives them.
pub(super) fn behind_a_name() -> Rule {
    Rule {
        shape: Shape::After(Context::Long, LONG_RUN.into()),
        near: Words::Own(makers().iter().map(|maker| (*maker).to_owned()).collect()),
        ..Rule::spelled(
            "maker-key",
            "credential.generic",
            "",
            MAKER,
            "the services' own docs: hexadecimal digits, letters or a UUID without a prefix",
        )
        .goes_on(VALUE_TAIL)
    }
}
