//! Where Portcullis itself is administered.

use super::Folder;
use crate::reference::SMALL;
use crate::*;

fn read(admin: &str) -> Option<Admin> {
    Folder::new().parse(&format!("{SMALL}admin: {admin}\n")).unwrap().admin
}

fn refused(admin: &str) -> String {
    Folder::new().faults(&format!("{SMALL}admin: {admin}\n"))
}

#[test]
fn it_is_absent_or_on_a_socket_or_a_listener_or_both() {
    let folder = Folder::new();
    assert_eq!(folder.parse(SMALL).unwrap().admin, None);
    let admin = folder.parse(&format!("{SMALL}admin: {{}}\n")).unwrap().admin.unwrap();
    assert_eq!((admin.listener, admin.socket_mode), (None, 0o600));
    assert_eq!(admin.socket, Some(folder.path("admin.sock")));
    let admin = read("127.0.0.1:9443").unwrap();
    assert_eq!(admin.listener.unwrap().tls, Tls::Plain);
    assert!(admin.socket.is_some());
    let admin = read("{socket: run/a.sock, socket_mode: group}").unwrap();
    assert!(admin.socket.unwrap().ends_with("run/a.sock") && admin.socket_mode == 0o660);
    let admin = read("{address: 192.0.2.7:9443, tls: local, socket_mode: off}").unwrap();
    assert!(matches!(admin.listener.unwrap().tls, Tls::Local { .. }) && admin.socket.is_none());
}

#[test]
fn what_would_show_tokens_or_open_nothing_is_a_fault() {
    for (admin, said) in [
        ("192.0.2.7:9443", "administrators' tokens"),
        ("127.0.0.1:8080", "taken already"),
        ("{tls: local}", "there is none"),
        ("{socket_mode: off}", "neither a listener nor a socket"),
        ("{address: 127.0.0.1:9443, socket: a, socket_mode: off}", "leaves no socket"),
        ("{address: 192.0.2.7:9443, tls: local, plain: allowed}", "exclude each other"),
        ("{socket_mode: everybody}", "everybody"),
    ] {
        let told = refused(admin);
        assert!(told.contains(said), "{admin}: {told}");
    }
}
