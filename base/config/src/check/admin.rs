//! The administration's section, checked.

use std::net::SocketAddr;

use super::{Base, address, collide, tls};
use crate::reader::Mapping;
use crate::usable::{Admin, Listener, Tls};

/// Only its own user may open the socket.
const OWNER: u32 = 0o600;
/// Its group may, too.
const GROUP: u32 = 0o660;

pub(super) fn admin(
    file: &Mapping<'_>,
    base: &Base,
    listeners: &[Listener],
    observe: Option<SocketAddr>,
) -> Option<Admin> {
    if !file.has("admin") {
        return None;
    }
    let section = file.section("admin")?;
    let listener = if section.has("address") { listener(&section, base) } else { None };
    if !section.has("address") && (section.has("tls") || section.has("plain")) {
        section.fault("`tls` and `plain` are for a listener, and there is none", "an `address`");
    }
    let taken = listeners.iter().map(|listener| listener.address).chain(observe);
    for other in taken {
        if let Some(listener) = listener.as_ref().filter(|listener| collide(listener.address, other)) {
            let message = format!("{} is taken already by {other}", listener.address);
            section.fault(message, "each address and port once");
        }
    }
    let mode = section.choice("socket_mode");
    let socket = if mode == Some("off") { None } else { base.path(&section, "socket") };
    if mode == Some("off") && section.has("socket") {
        section.fault("`socket_mode: off` leaves no socket", "one of the two");
    }
    if mode == Some("off") && !section.has("address") {
        section.fault("neither a listener nor a socket is left", "an `address`, or a socket");
    }
    let socket_mode = if mode == Some("group") { GROUP } else { OWNER };
    Some(Admin { listener, socket, socket_mode })
}

fn listener(section: &Mapping<'_>, base: &Base) -> Option<Listener> {
    let at = section.parse("address", address)?;
    let tls = match section.item("tls") {
        None => Tls::Plain,
        Some(item) => tls(&item, at, base)?,
    };
    if section.has("plain") && section.has("tls") {
        section.fault("`plain` and `tls` exclude each other", "one of the two");
    }
    if tls == Tls::Plain && !at.ip().is_loopback() && section.choice("plain").is_none() {
        section.fault(
            format!("plain HTTP on {at} would show administrators' tokens to the network"),
            "`tls: local`, `tls` with a certificate and its key, or `plain: allowed`",
        );
    }
    Some(Listener { address: at, tls })
}
