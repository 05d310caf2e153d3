//! Programs, and the endpoint that grants tokens.

use std::sync::atomic::{AtomicUsize, Ordering};

use config::{ClientAuth, TokenGrant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_programs_output_is_trimmed_and_bounded() {
    let stand = Stand::new();
    assert_eq!(now(&stand.keeper(&stand.command("printf ' the-secret \\n\\n'"))).await, "Bearer the-secret");
    for (script, told) in [
        ("true", "is empty"),
        ("printf 'two\\nlines'", "is not one line"),
        ("printf '\\377'", "is not UTF-8 text"),
        ("head -c 65537 /dev/zero | tr '\\0' a", "is larger than a secret may be"),
        ("yes secret", "is larger than a secret may be"),
        ("kill -9 $$", "was killed by a signal"),
    ] {
        let error = stand.keeper(&stand.command(script)).current().await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("secret\n"), "{script}: {error}");
    }
    let absent = SecretCommand { run: vec!["/not/there".to_owned()], ..stand.script("a", "") };
    let credential = Credential { source: SecretSource::Command(absent), ..stand.command("") };
    assert!(
        stand
            .keeper(&credential)
            .current()
            .await
            .unwrap_err()
            .to_string()
            .contains("cannot run `/not/there`")
    );
}

#[tokio::test]
async fn a_program_gets_few_variables_and_no_shell() {
    let stand = Stand::new();
    let names = now(&stand.keeper(&stand.command("env | sed 's/=.*//' | sort | tr '\\n' ' '"))).await;
    for name in names.trim_start_matches("Bearer ").split_whitespace() {
        // The shell adds the last three.
        assert!(
            ["HOME", "LANG", "PATH", "PORTCULLIS_RESOURCE", "OLDPWD", "PWD", "SHLVL", "_"].contains(&name),
            "{names}"
        );
    }
    let run = ["/bin/echo", "$HOME;", "`id`"].map(str::to_owned).to_vec();
    let echo = SecretCommand { run, ..stand.script("a", "") };
    let credential = Credential { source: SecretSource::Command(echo), ..stand.command("") };
    assert_eq!(now(&stand.keeper(&credential)).await, "Bearer $HOME; `id`");
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_what_it_started() {
    let stand = Stand::new();
    // The grandchild would hold the pipe open, and write when it is through.
    let mut command = stand.script("get", "(sleep 3600; echo late >> late) & echo $! > child; sleep 3600");
    command.timeout = Duration::from_millis(500);
    let credential = Credential { source: SecretSource::Command(command), ..stand.command("true") };
    // `command` above wrote another script of that name.
    stand.script("get", "(sleep 3600; echo late >> late) & echo $! > child; sleep 3600");
    let error = stand.keeper(&credential).current().await.unwrap_err().to_string();
    assert!(error.contains("did not end within 500ms and was killed"), "{error}");
    let child = stand.read("child").trim().to_owned();
    assert!(!child.is_empty());
    // Killed at once; it is gone when whoever inherits it has noticed.
    for _ in 0..600 {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {child} lives");
}

/// An endpoint that grants one token after another, each for so many seconds, and says what it was asked.
async fn endpoint(expires_in: u64) -> (String, Arc<AtomicUsize>, Arc<std::sync::Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let (count, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(String::new())));
    let (counted, heard) = (Arc::clone(&count), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 64 << 10];
            let mut read = 0;
            while !std::str::from_utf8(&bytes[..read]).unwrap().contains("grant_type=") {
                read += stream.read(&mut bytes[read..]).await.unwrap();
            }
            *heard.lock().unwrap() = String::from_utf8(bytes[..read].to_vec()).unwrap();
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let body = format!(
                r#"{{"access_token":"granted-token-{number}","token_type":"bearer","expires_in":{expires_in}}}"#
            );
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    (url, count, asked)
}

fn client(stand: &Stand, url: &str, client_auth: ClientAuth) -> Credential {
    let grant = TokenGrant {
        url: url.parse().unwrap(),
        client_id: "gate".to_owned(),
        client_auth,
        scopes: vec!["a".to_owned(), "b".to_owned()],
        resource: Some("urn:x".to_owned()),
        audience: None,
        ca_file: None,
        timeout: 10 * S,
    };
    Credential { scheme: CredentialScheme::OAuth2(Box::new(grant)), ..stand.file("key") }
}

#[tokio::test]
async fn a_granted_token_is_kept_until_shortly_before_its_end() {
    let stand = Stand::new();
    stand.write("key", "client-secret");
    let (url, count, asked) = endpoint(3600).await;
    let keeper = stand.keeper(&client(&stand, &url, ClientAuth::Post));
    for _ in 0..3 {
        assert_eq!(now(&keeper).await, "Bearer granted-token-1");
    }
    let form = asked.lock().unwrap().rsplit("\r\n").next().unwrap().to_owned();
    let expected = "grant_type=client_credentials&scope=a%20b&resource=urn%3Ax&client_id=gate&client_secret=client-secret";
    assert_eq!(form, expected);
    stand.clock.advance(3569 * S);
    assert_eq!(now(&keeper).await, "Bearer granted-token-1");
    stand.clock.advance(2 * S);
    assert_eq!(now(&keeper).await, "Bearer granted-token-2");
    let refused = keeper.current().await.unwrap();
    assert_eq!(header(&keeper.anew(&refused).await.unwrap()), "Bearer granted-token-3");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert!(keeper.needles().iter().any(|needle| needle == b"granted-token-1"), "the earlier ones, too");
}

#[tokio::test]
async fn a_token_outlives_neither_its_end_nor_the_bound_on_old_values() {
    let stand = Stand::new();
    stand.write("key", "client-secret");
    let (url, ..) = endpoint(100).await;
    let keeper = stand.keeper(&client(&stand, &url, ClientAuth::Basic));
    assert_eq!(now(&keeper).await, "Bearer granted-token-1");
    std::fs::remove_file(stand.path("key")).unwrap();
    stand.clock.advance(95 * S);
    assert_eq!(now(&keeper).await, "Bearer granted-token-1", "due for renewal, but good");
    stand.clock.advance(5 * S);
    assert!(keeper.current().await.is_err(), "over");
}
