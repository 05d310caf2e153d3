//! A set-up to begin with: the files that `portcullis init` writes.

use model::ResourceName;

use crate::ServerKind;

/// Two files that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StarterFiles {
    /// The configuration, for `portcullis.yaml`.
    pub yaml: String,
    /// Where the policy goes, from the folder of that file.
    pub policy_file: &'static str,
    /// The one policy, an English sentence above it.
    pub policy: String,
}

/// What a set-up is made from.
#[derive(Clone, Copy, Debug)]
pub struct StarterAnswers<'a> {
    /// The issuer's URL, as in `iss`.
    pub issuer: &'a str,
    /// The audience tokens are issued for.
    pub audience: &'a str,
    /// What to call the model.
    pub resource: &'a ResourceName,
    /// What serves it.
    pub server: ServerKind,
    /// Where it stands.
    pub upstream: &'a str,
    /// Where its key lies, as `env:NAME` or `file:PATH`.
    pub credential: Option<&'a str>,
    /// The group that may ask it; everybody with a token when absent.
    pub group: Option<&'a str>,
}

/// A set-up of one issuer and one model on loopback. Nothing is checked here: write both files, then
/// [`crate::load`] says what is wrong with what was given.
pub fn starter(answers: &StarterAnswers<'_>) -> StarterFiles {
    let StarterAnswers { issuer, audience, resource, server, upstream, credential, group } = *answers;
    let credential =
        credential.map_or_else(String::new, |reference| format!("    credential: {}\n", quoted(reference)));
    let yaml = format!(
        "\
# Every key: portcullis config reference
listeners: [127.0.0.1:8080]
observe: 127.0.0.1:9090
admin: {{}}  # on the socket admin.sock, once a policy says who may
issuers:
  main: {{issuer: {issuer}, audiences: {audience}}}
resources:
  {resource}:
    server: {server}
    upstreams: {upstream}
{credential}policies: policies
ledger: ledger
",
        issuer = quoted(issuer),
        audience = quoted(audience),
        server = server.as_str(),
        upstream = quoted(upstream),
    );
    let (who, scope) = match group {
        // A string literal of Cedar's reads the escapes that JSON writes.
        Some(group) => {
            let name = serde_json::Value::from(group);
            (
                format!("Members of {}", group.replace(char::is_control, " ")),
                format!("principal in Group::{name}"),
            )
        }
        None => ("Everybody with a valid token".to_owned(), "principal".to_owned()),
    };
    let policy = format!(
        "\
// {who} may ask {resource}, and see which models it has.
@id(\"may-ask-{resource}\")
permit (
    {scope},
    action in [Action::\"infer\", Action::\"embed\", Action::\"tokenize\", Action::\"inspect\"],
    resource in Resource::\"{resource}\"
);

// To administer Portcullis (docs/admin-api.md), put your group in and take the marks of this policy away.
//
// // Administrators may do everything to Portcullis.
// @id(\"administrators\")
// permit (
//     principal in Group::\"portcullis-admins\",
//     action in Action::\"administration\",
//     resource
// );
"
    );
    StarterFiles { yaml, policy_file: "policies/first.cedar", policy }
}

/// The text as YAML reads it back: as it is where that is plain, else in double quotes as JSON has them,
/// which YAML reads too.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b':');
    let colon_ends_it = text.ends_with(':') || text.contains(":/ ");
    match text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(plain) && !colon_ends_it {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Config, Faults, SecretRef};

    fn answers<'a>(resource: &'a ResourceName, server: ServerKind) -> StarterAnswers<'a> {
        StarterAnswers {
            issuer: "https://login.example.test/a",
            audience: "portcullis",
            resource,
            server,
            upstream: "http://127.0.0.1:8081",
            credential: None,
            group: None,
        }
    }

    fn read(files: &StarterFiles) -> Result<Config, Faults> {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join(files.policy_file);
        std::fs::create_dir_all(policy.parent().unwrap()).unwrap();
        std::fs::write(policy, &files.policy).unwrap();
        let file = dir.path().join("portcullis.yaml");
        std::fs::write(&file, &files.yaml).unwrap();
        crate::load(&file)
    }

    #[test]
    fn what_it_writes_is_read_back() {
        let name = ResourceName::new("llama").unwrap();
        for server in ServerKind::models() {
            let files = starter(&StarterAnswers { credential: Some("env:KEY"), ..answers(&name, server) });
            let config = read(&files).unwrap();
            assert!(files.yaml.lines().count() <= 15);
            assert_eq!(config.issuers[0].issuer, "https://login.example.test/a");
            assert_eq!(config.issuers[0].audiences, ["portcullis"]);
            assert_eq!(config.resources[0].server, server);
            assert_eq!(config.resources[0].upstreams[0].to_string(), "http://127.0.0.1:8081/");
            let credential = config.resources[0].credential.as_ref().unwrap();
            assert_eq!(*credential, crate::Credential::bearer(SecretRef::Env("KEY".to_owned())));
            assert!(files.policy.starts_with("// Everybody"));
        }
    }

    #[test]
    fn a_group_narrows_the_policy_and_can_not_end_its_comment() {
        let name = ResourceName::new("llama").unwrap();
        let group = Some("a\nb");
        let files = starter(&StarterAnswers { group, ..answers(&name, ServerKind::Vllm) });
        assert!(files.policy.starts_with("// Members of a b may ask llama"));
        assert!(files.policy.contains(r#"principal in Group::"a\nb""#));
    }

    proptest! {
        #[test]
        fn any_audience_is_read_back_or_refused(audience in "\\PC{1,40}") {
            let name = ResourceName::new("llama").unwrap();
            let files = starter(&StarterAnswers { audience: &audience, ..answers(&name, ServerKind::Vllm) });
            let config = read(&files).unwrap();
            prop_assert_eq!(&config.issuers[0].audiences, &[audience]);
        }
    }
}
