//! Keys of services, by the prefix that each gives its own.

use super::credentials::{checked, key, long};
use super::{BASE64, DASHED, DOTTED, WORD};
use crate::check::{ANY, NO_PATH, SENTRY, SIGNED, WITH_ALL_KINDS, WITH_DIGITS, WITH_LETTERS};
use crate::rule::Rule;

/// One row for each form.
pub(super) fn spelled() -> Vec<Rule> {
    let mut rules = platforms();
    rules.extend(data());
    rules.extend(business());
    rules.extend(more());
    rules
}

/// Hosting, deployment, building.
fn platforms() -> Vec<Rule> {
    let atlassian = "Atlassian docs, API tokens";
    let fly = "Fly.io docs, access tokens";
    let sonar = "SonarQube docs, user tokens";
    let jfrog = "JFrog docs, access tokens";
    let onepassword = "1Password developer docs";
    vec![
        key("digitalocean", "token", r"do[opr]_v1_[a-f0-9]{64}\b", None, "DigitalOcean docs, API tokens"),
        key(
            "doppler",
            "token",
            r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{40}",
            DASHED,
            "Doppler docs, token formats",
        ),
        key("databricks", "token", r"dapi[a-f0-9]{32}(?:-[0-9])?\b", None, "Databricks docs, access tokens"),
        key(
            "atlassian",
            "token",
            r"ATATT3xFfGF0[A-Za-z0-9_=-]{50}",
            super::tail("[A-Za-z0-9_=-]*"),
            atlassian,
        ),
        key(
            "bitbucket",
            "token",
            r"(?:ATCTT3xFfGN0|BBDC-)[A-Za-z0-9_=-]{40}",
            super::tail("[A-Za-z0-9_=-]*"),
            atlassian,
        ),
        key("bitbucket", "app-password", r"ATBB[A-Za-z0-9]{24}[A-F0-9]{8}\b", None, atlassian),
        key("netlify", "token", r"nf[pcoub]_[A-Za-z0-9_-]{36}", DASHED, "Netlify docs"),
        key("vercel", "token", r"vc[piark]_[A-Za-z0-9]{56}", WORD, "Vercel docs, access tokens"),
        key("flyio", "token", r"fo1_[A-Za-z0-9_-]{43}\b", None, fly),
        key("flyio", "macaroon", r"fm[12][ar]?_[A-Za-z0-9+/]{60}", BASE64, fly),
        key(
            "cloudflare",
            "origin-key",
            r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}\b",
            None,
            "Cloudflare docs, origin CA keys",
        ),
        key("cloudflare", "token", r"cf[ua]t_[A-Za-z0-9_-]{41}", DASHED, "Cloudflare docs, API tokens"),
        key("heroku", "key", r"HRKU-AA[A-Za-z0-9_-]{58}", DASHED, "Heroku docs, platform API"),
        key(
            "circleci",
            "token",
            r"CCIP(?:AT|RJ)_[A-Za-z0-9]{22}_[a-f0-9]{40}",
            WORD,
            "CircleCI docs, API tokens",
        ),
        key("buildkite", "token", r"bk[a-z]{2}_[A-Za-z0-9]{40}", WORD, "Buildkite docs, API tokens"),
        key(
            "launchdarkly",
            "key",
            r"(?:sdk|mob|api)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            None,
            "LaunchDarkly docs, SDK credentials",
        ),
        key(
            "snyk",
            "service-token",
            r"snyk_[us]at\.[A-Za-z0-9]{8}\.[A-Za-z0-9_-]{20}",
            DOTTED,
            "Snyk docs, API tokens",
        ),
        key("sonarqube", "token", r"sq[apu]_[a-f0-9]{40}\b", None, sonar),
        key("jfrog", "key", r"AKCp[A-Za-z0-9]{69}\b", None, jfrog),
        key("jfrog", "reference-token", r"cmVm(?:dGtu|d[A-Za-z0-9]{3})[A-Za-z0-9]{56}\b", None, jfrog),
        key("rubygems", "key", r"rubygems_[a-f0-9]{48}\b", None, "RubyGems guides, API key scopes"),
        checked(WITH_DIGITS, key("nuget", "key", r"oy2[a-z0-9]{43}\b", None, "NuGet docs, API keys")),
        checked(WITH_ALL_KINDS, key("cratesio", "token", r"cio[A-Za-z0-9]{32}\b", None, "crates.io source")),
        key(
            "tailscale",
            "key",
            r"tskey-[a-z]{3,12}-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{16}",
            WORD,
            "Tailscale docs, key prefixes",
        ),
        key(
            "1password",
            "secret-key",
            r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}\b",
            None,
            onepassword,
        ),
        key("1password", "service-token", r"ops_eyJ[A-Za-z0-9+/]{250}", BASE64, onepassword),
        key("1password", "recovery-key", r"1PRK(?:-[A-Z0-9]{4}){13}\b", None, onepassword),
        checked(
            ANY,
            key(
                "kubernetes",
                "client-key",
                r"client-key-data: ?[A-Za-z0-9+/]{40}",
                BASE64,
                "Kubernetes docs, kubeconfig",
            ),
        ),
        key("openshift", "token", r"sha256~[A-Za-z0-9_-]{43}\b", None, "OpenShift docs, OAuth tokens"),
        key("pulumi", "token", r"pul-[a-f0-9]{40}\b", None, "Pulumi docs, access tokens"),
        key("prefect", "key", r"pn[ub]_[A-Za-z0-9]{36}\b", None, "Prefect docs, API keys"),
        checked(NO_PATH, key("infracost", "key", r"ico-[A-Za-z0-9]{32}\b", None, "Infracost docs")),
        checked(
            NO_PATH,
            key("octopusdeploy", "key", r"API-[A-Z0-9]{26}\b", None, "Octopus Deploy docs, API keys"),
        ),
        key(
            "sourcegraph",
            "token",
            r"sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}\b",
            None,
            "Sourcegraph docs, access tokens",
        ),
        key(
            "harness",
            "token",
            r"[ps]at\.[A-Za-z0-9_-]{22}\.[a-f0-9]{24}\.[A-Za-z0-9]{20}\b",
            None,
            "Harness docs, API keys",
        ),
        key("scalingo", "token", r"tk-us-[A-Za-z0-9_-]{48}\b", None, "Scalingo docs"),
        key("settlemint", "token", r"sm_[aps]at_[A-Za-z0-9]{16}\b", None, "SettleMint docs, access tokens"),
        key("deno", "token", r"dd[opw]_[A-Za-z0-9]{36}\b", None, "Deno Deploy docs"),
        key("clojars", "token", r"CLOJARS_[a-z0-9]{60}\b", None, "Clojars wiki, deploy tokens"),
        key(
            "defined-networking",
            "token",
            r"dnkey-[a-z0-9=_-]{26}-[a-z0-9=_-]{52}",
            None,
            "Defined Networking docs",
        ),
        key("packagist", "token", r"packagist_[ou][rcu][rt]_[a-f0-9]{40}", WORD, "Packagist docs"),
    ]
}

/// Observability, databases, search, models.
fn data() -> Vec<Rule> {
    let grafana = "Grafana docs, service accounts";
    let newrelic = "New Relic docs, API keys";
    let sentry = "Sentry docs, auth tokens";
    vec![
        key("grafana", "service-token", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}", WORD, grafana),
        key("grafana", "cloud-token", r"glc_[A-Za-z0-9+/]{32}", BASE64, grafana),
        key("grafana", "old-key", r"eyJrIjoi[A-Za-z0-9]{60}", BASE64, grafana),
        key("newrelic", "key", r"NR(?:AK|II|JS|RA|AA|IQ|SP)-[A-Za-z0-9-]{19}", DASHED, newrelic),
        checked(
            SENTRY,
            key(
                "sentry",
                "org-token",
                r"sntrys_eyJ[A-Za-z0-9+/=_]{90,460}(?:[^A-Za-z0-9+/=_]|\z)",
                None,
                sentry,
            ),
        ),
        key("sentry", "user-token", r"sntryu_[a-f0-9]{64}\b", None, sentry),
        key(
            "datadog",
            "token",
            r"dd(?:pat|app|apk)_[A-Za-z0-9]{32}",
            WORD,
            "Datadog docs, API and application keys",
        ),
        key(
            "dynatrace",
            "token",
            r"dt0[a-zA-Z][0-9]{2}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}\b",
            None,
            "Dynatrace docs, access tokens",
        ),
        key(
            "planetscale",
            "token",
            r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32}",
            super::tail("[A-Za-z0-9_.=-]*"),
            "PlanetScale docs",
        ),
        key("supabase", "token", r"sbp_[a-f0-9]{40}", WORD, "Supabase docs, API keys"),
        key("supabase", "secret-key", r"sb_secret_[A-Za-z0-9_-]{31}", DASHED, "Supabase docs, API keys"),
        key("neon", "key", r"napi_[A-Za-z0-9]{64}", WORD, "Neon docs, API keys"),
        key(
            "mongodb",
            "service-account",
            r"mdb_sa_sk_[A-Za-z0-9_-]{40}",
            DASHED,
            "MongoDB Atlas docs, service accounts",
        ),
        key("airtable", "token", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b", None, "Airtable docs, access tokens"),
        key("posthog", "key", r"ph[cxs]_[A-Za-z0-9_]{41}", WORD, "PostHog docs"),
        key("clickhouse", "key", r"4b1d[A-Za-z0-9]{38}\b", None, "ClickHouse Cloud docs"),
        key("confluent", "key", r"cflt[A-Za-z0-9/+]{60}", BASE64, "Confluent docs, API keys"),
        key("tinybird", "token", r"p\.eyJ[A-Za-z0-9_-]{40}", DOTTED, "Tinybird docs"),
        key(
            "alibaba",
            "access-key-id",
            r"LTAI[A-Za-z0-9]{16,26}\b",
            None,
            "Alibaba Cloud docs, AccessKey pairs",
        ),
        key("tencent", "secret-id", r"AKID[A-Za-z0-9]{32}\b", None, "Tencent Cloud docs"),
        key("yandex", "key", r"AQVN[A-Za-z0-9_-]{35,38}\b|YC[A-Za-z0-9_-]{38}\b", None, "Yandex Cloud docs"),
        key(
            "yandex",
            "token",
            r"t1\.[A-Z0-9a-z_-]{2,}[=]{0,2}\.[A-Za-z0-9_-]{86}={0,2}".replace("{2,}", "{2,200}").as_str(),
            None,
            "Yandex Cloud docs",
        ),
        key("fireworks", "key", r"fw_[A-Za-z0-9]{22,24}\b", None, "Fireworks docs"),
        key("runpod", "key", r"rpa_[A-Z0-9]{30}[A-Za-z0-9]{10}", WORD, "RunPod docs"),
        long("maxmind", "key", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b", "MaxMind docs"),
        key(
            "typeform",
            "token",
            r"tfp_[A-Za-z0-9=_.-]{40}",
            super::tail("[A-Za-z0-9=_.-]*"),
            "Typeform docs",
        ),
        key("contentful", "token", r"CFPAT-[A-Za-z0-9_-]{43}", DASHED, "Contentful docs"),
        key("adafruit", "key", r"aio_[A-Za-z]{4}[0-9]{2}[A-Za-z0-9]{22}", WORD, "Adafruit IO docs"),
    ]
}

/// Payment, mail, messages, work.
fn business() -> Vec<Rule> {
    let square = "Square docs, access tokens";
    let asana = "Asana docs, personal access tokens";
    let easypost = "EasyPost docs, API keys";
    let discord = "Discord docs, authentication";
    vec![
        key(
            "shopify",
            "token",
            r"shp(?:at|ca|pa|ss|ua)_[a-fA-F0-9]{32}\b",
            None,
            "Shopify docs, access tokens",
        ),
        key("square", "token", r"EAAA[A-Za-z0-9_-]{60}\b|EAAA[A-Za-z0-9+=-]{28}\b", None, square),
        key("square", "secret", r"sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22}", DASHED, square),
        key("paypal", "token", r"A21AA[A-Za-z0-9_-]{60}", DASHED, "PayPal docs, access tokens"),
        key(
            "braintree",
            "token",
            r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}\b",
            None,
            "Braintree docs",
        ),
        key("twilio", "key", r"SK[a-f0-9]{32}\b", None, "Twilio docs, API keys"),
        key("twilio", "account-id", r"AC[a-f0-9]{32}\b", None, "Twilio docs, account SID"),
        key(
            "sendgrid",
            "key",
            r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9=_-]{43}",
            DASHED,
            "SendGrid docs, API keys",
        ),
        key("mailgun", "key", r"(?:pub)?key-[a-f0-9]{32}\b", None, "Mailgun docs, API keys"),
        long("mailgun", "signing-key", r"[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}\b", "Mailgun docs, API keys"),
        long("mailchimp", "key", r"[a-f0-9]{32}-us[0-9]{1,2}\b", "Mailchimp docs, API keys"),
        key("mailchimp", "mandrill-key", r"md-[A-Za-z0-9_-]{22}\b", None, "Mandrill docs"),
        key(
            "discord",
            "token",
            r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}",
            DASHED,
            discord,
        ),
        key(
            "discord",
            "webhook",
            r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60}",
            DASHED,
            discord,
        ),
        key(
            "linear",
            "key",
            r"lin_(?:api_[A-Za-z0-9]{40}|oauth_[a-f0-9]{64})",
            WORD,
            "Linear docs, API keys",
        ),
        checked(
            WITH_LETTERS,
            key("notion", "token", r"ntn_[0-9]{11}[A-Za-z0-9]{35}\b", None, "Notion docs, authorization"),
        ),
        key("notion", "old-token", r"secret_[A-Za-z0-9]{43}\b", None, "Notion docs, authorization"),
        key("figma", "token", r"figd_[A-Za-z0-9_-]{38}", DASHED, "Figma docs, access tokens"),
        key("asana", "token", r"[012]/[0-9]{16}(?:/[0-9]{16})?:[a-f0-9]{32}\b", None, asana),
        key(
            "hubspot",
            "token",
            r"pat-(?:na|eu)[0-9]-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b",
            None,
            "HubSpot docs, private apps",
        ),
        key(
            "postman",
            "key",
            r"PM(?:AK|AT)-[A-Za-z0-9]{24}(?:[A-Za-z0-9]{2}|-[a-f0-9]{34})?\b",
            None,
            "Postman docs, API keys",
        ),
        key("readme", "key", r"rdme_[a-z0-9]{70}\b", None, "ReadMe docs, API keys"),
        key("easypost", "key", r"EZ[AT]K[A-Za-z0-9]{54}\b", None, easypost),
        key("shippo", "token", r"shippo_(?:live|test)_[a-f0-9]{40}\b", None, "Shippo docs, API tokens"),
        key("zuplo", "key", r"zpka_[a-f0-9]{32}_[a-f0-9]{8}\b", None, "Zuplo docs, API key format"),
        checked(
            WITH_ALL_KINDS,
            key(
                "resend",
                "key",
                r"re_[1-9A-HJ-NP-Za-km-z]{8}_[1-9A-HJ-NP-Za-km-z]{24}\b",
                None,
                "Resend docs, API keys",
            ),
        ),
        key("brevo", "key", r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}\b", None, "Brevo docs, API keys"),
        key("duffel", "token", r"duffel_(?:test|live)_[A-Za-z0-9_=-]{43}", None, "Duffel docs"),
        key("frameio", "token", r"fio-u-[A-Za-z0-9_=-]{64}", None, "Frame.io docs"),
        key(
            "flutterwave",
            "key",
            r"FLW(?:PUBK|SECK)(?:_TEST)?-[a-h0-9]{32}-X\b|FLWSECK_TEST-[a-h0-9]{12}\b",
            None,
            "Flutterwave docs",
        ),
        key("facebook", "token", r"EAA[MC][A-Za-z0-9]{100}", WORD, "Meta docs, access tokens"),
        key("facebook", "app-token", r"[0-9]{15,16}\|[A-Za-z0-9_-]{27}\b", None, "Meta docs, access tokens"),
        key(
            "twitter",
            "bearer-token",
            r"A{22}[A-Za-z0-9%]{60}",
            super::tail("[A-Za-z0-9%]*"),
            "X docs, bearer tokens",
        ),
        key("lob", "key", r"(?:live|test)_(?:pub_)?[a-f0-9]{31,35}\b", None, "Lob docs, API keys"),
        key("gocardless", "token", r"live_[A-Za-z0-9_=-]{40}", None, "GoCardless docs"),
        key("razorpay", "key", r"rzp_(?:live|test)_[A-Za-z0-9]{14}\b", None, "Razorpay docs"),
        key(
            "plaid",
            "token",
            r"access-(?:sandbox|development|production)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b",
            None,
            "Plaid docs",
        ),
        key("adobe", "secret", r"p8e-[A-Za-z0-9]{32}\b", None, "Adobe docs, client secrets"),
        key(
            "authress",
            "key",
            r"(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.(?:acc)[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30}",
            BASE64,
            "Authress docs",
        ),
        key(
            "teams",
            "webhook",
            r"(?:webhook|outlook)\.office\.com/webhook(?:b2)?/[a-f0-9-]{36}@[a-f0-9-]{36}/IncomingWebhook/[A-Za-z0-9]{32}",
            super::tail("[A-Za-z0-9/-]*"),
            "Microsoft Learn, incoming webhooks",
        ),
        key(
            "zapier",
            "webhook",
            r"hooks\.zapier\.com/hooks/catch/[0-9]{4,10}/[A-Za-z0-9]{5}",
            super::tail("[A-Za-z0-9/]*"),
            "Zapier docs, webhooks",
        ),
    ]
}

/// Forms that many services share: a prefix of their own, then a long body drawn by chance.
fn more() -> Vec<Rule> {
    vec![
        key(
            "devcycle",
            "key",
            r"dvc_(?:client|server|mobile)_[A-Za-z0-9_]{8}",
            WORD,
            "DevCycle docs, SDK keys",
        ),
        key("cockroachdb", "key", r"CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}", WORD, "CockroachDB Cloud docs"),
        key("clickup", "token", r"pk_[0-9]{5,10}_[A-Z0-9]{32}\b", None, "ClickUp docs"),
        key(
            "voiceflow",
            "key",
            r"VF\.(?:DM\.|WS\.)?[A-Za-z0-9]{24}\.[A-Za-z0-9]{16}\b",
            None,
            "Voiceflow docs",
        ),
        key("portainer", "key", r"ptr_[A-Za-z0-9+/=]{40}", BASE64, "Portainer docs"),
        key("iterative", "token", r"isat_[A-Za-z0-9-]{36}", DASHED, "Iterative docs"),
        key(
            "checkout",
            "key",
            r"[sp]k_(?:sbox_)?[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b",
            None,
            "Checkout.com docs",
        ),
        key(
            "fal",
            "key",
            r"[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}:[a-f0-9]{32}\b",
            None,
            "fal docs",
        ),
        Rule::spelled(
            "freemius-key",
            "credential.freemius",
            r#"\bsk_[!-~&&[^"'`]]{29}(?:["'`\s]|\z)"#,
            SIGNED,
            "Freemius docs, SDK keys",
        )
        .near(&["secret_key"]),
        Rule {
            class: "credential.generic".into(),
            ..key(
                "live",
                "key",
                r"[A-Za-z]{2,6}_(?:live|test|prod|sandbox)_[A-Za-z0-9]{16}",
                WORD,
                "no published form: a prefix, its stage, and a long body",
            )
        },
        Rule {
            class: "credential.generic".into(),
            ..key(
                "uuid",
                "key",
                r"(?:[sp]k|[sp]k-lf|pat|pub-c|sub-c|sec-c|secret|token|RGAPI)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
                None,
                "no published form: a prefix that says key, and a UUID",
            )
        },
        key("sourcegraph", "license-key", r"slk_[a-f0-9]{64}\b", None, "Sourcegraph docs"),
        key("devin", "key", r"(?:cog|apk_user)_[A-Za-z0-9]{40}", WORD, "Devin docs"),
        key("runway", "key", r"key_[a-f0-9]{128}\b", None, "Runway docs"),
    ]
}
