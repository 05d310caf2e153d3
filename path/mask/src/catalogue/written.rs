//! Passwords by the sentence they stand in: connection strings, calls, commands and configuration files whose
//! grammar says that what follows is a password, even if it is a word.

use crate::check::ANY;
use crate::check::written::{AFTER_SPACE, CONNECTION, GIVEN, LAST_QUOTED, PHRASE, TAGGED};
use crate::rule::{Check, Rule};

fn rule(name: &'static str, pattern: &'static str, check: Check, source: &'static str) -> Rule {
    Rule::spelled(name, "credential.generic", pattern, check, source)
}

/// Every rule.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        rule(
            "connection-password",
            r#"\b(?i:password|pwd) ?= ?["']?[!-~&&[^"'`;,<>&]]{3,64}(?:[;,"'`<>&\s]|\\n|\z)"#,
            CONNECTION,
            "libpq, ODBC and ADO.NET connection strings",
        )
        .near(&["dbname", "initial catalog", "data source", "user id", "uid", "sslmode", "sslconnection", "redis"]),
        rule(
            "short-password",
            r#"[_.-](?i:pass) ?[=:] ?["']?[!-~&&[^"'`<>,;(){}\[\]\\]]{6,63}(?:[^!-~]|["'`<>,;(){}\[\]\\]|\z)"#,
            GIVEN,
            "no published form: a name that says password, and a value that is no word of a program",
        ),
        rule(
            "django-secret-key",
            r#"\b(?i:secret_key)["']?\)?\]? ?[=:,] ?["'](?:django-insecure-)?[a-z0-9!@#$%^&*(_=+)-]{50}["']"#,
            LAST_QUOTED,
            "Django docs, SECRET_KEY",
        ),
        rule(
            "connect-call",
            r#"\b(?i:mysqli?_connect|new mysqli|pg_connect|new PDO|DBI(?:->|\.)connect)\(\s{0,4}["'][^"'\r\n]{0,100}["'], {0,2}["'][^"'\r\n]{0,40}["'], {0,2}["'][^"'\r\n]{3,64}["']"#,
            LAST_QUOTED,
            "PHP, Perl and Ruby manuals, database connections",
        ),
        rule(
            "secure-string",
            r#"\b(?i:ConvertTo-SecureString(?: -String)?) {1,2}["'][^"'$\r\n]{3,64}["']"#,
            LAST_QUOTED,
            "Microsoft Learn, ConvertTo-SecureString",
        ),
        rule(
            "network-credential",
            r#"\b(?i:NetworkCredential(?:\]::new)?)\(["'][^"'\r\n]{1,60}["'], ?["'][^"'$\r\n]{3,64}["']"#,
            LAST_QUOTED,
            "Microsoft Learn, NetworkCredential",
        ),
        rule(
            "windows-command",
            r#"/(?i:rp|pass:) ?[!-~&&[^"'`<>%$/]]{4,64}|/(?i:user):[A-Za-z0-9_.\\-]{2,40} [!-~&&[^"'`<>%$/*]]{4,64}"#,
            AFTER_SPACE,
            "Microsoft Learn, schtasks, cmdkey and net use",
        )
        .near(&["schtasks", "cmdkey", "net use", "net user", "psexec", "runas"]),
        rule(
            "cisco-secret",
            r"\b(?:enable (?:secret|password)|snmp-server community|(?:pac |tacacs-server |radius-server )key)(?: [0-9]{1,2})? [!-~]{4,64}",
            AFTER_SPACE,
            "Cisco IOS command reference",
        ),
        rule(
            "sql-password",
            r#"\b(?i:identified (?:with [a-z0-9_]{4,30} )?by(?: password)?|with (?:encrypted )?password ?=?) {1,2}["'][^"'\r\n]{3,64}["']"#,
            LAST_QUOTED,
            "MySQL, Oracle, PostgreSQL and SQL Server manuals, CREATE USER",
        ),
        rule(
            "netrc-password",
            r"\bmachine\s{1,4}[!-~]{1,80}\s{1,4}login\s{1,4}[!-~]{1,60}\s{1,4}password\s{1,4}[!-~]{1,64}",
            AFTER_SPACE,
            "GNU inetutils manual, .netrc",
        ),
        rule(
            "redis-password",
            r"\b(?:requirepass|masterauth|sshpass -p) {1,2}[!-~&&[^<>$]]{4,64}",
            AFTER_SPACE,
            "Redis and sshpass manuals",
        ),
        rule(
            "config-password",
            r#"\bkey="[A-Za-z]{0,20}[Pp]assword" value="[^"<>\r\n]{3,64}""#,
            LAST_QUOTED,
            "Microsoft Learn, NuGet.Config and appSettings",
        ),
        rule(
            "unattended-password",
            r"Password><Value>[!-~&&[^<>]]{3,100}</Value>",
            TAGGED,
            "Microsoft Learn, answer files",
        ),
        rule(
            "seed-phrase",
            r#"\b(?i:mnemonic|seed[_ -]?phrase|recovery[_ -]?phrase)(?-i:["' :=]{1,6})(?:[a-z]{3,8} ){11,23}[a-z]{3,8}\b"#,
            PHRASE,
            "BIP 39",
        ),
        rule("jdbc-user-password", r"\bjdbc:oracle:thin:[A-Za-z0-9_$]{1,30}/[!-~&&[^@$<>{}]]{1,64}@", ANY, "Oracle JDBC guide, URLs"),
    ]
}
