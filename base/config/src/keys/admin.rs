//! The keys of the administration's section.

use super::{PLAIN, SECURED};
use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const ADMIN: Section = Section {
    name: "admin",
    doc: "Where Portcullis itself is administered. Every call needs a token and a policy, on the socket too. \
          `{}` opens the socket alone. May be written as the address alone.",
    keys: &[
        Key {
            name: "address",
            shape: Shape::One(Kind::Address),
            absent: Absent::Nothing("the socket alone"),
            doc: "The address of a listener of its own. Port 0 lets the system choose.",
        },
        SECURED,
        PLAIN,
        Key {
            name: "socket",
            shape: Shape::One(Kind::Path),
            absent: Absent::Is("admin.sock"),
            doc: "A Unix socket for the same. Its folder must be there.",
        },
        Key {
            name: "socket_mode",
            shape: Shape::Choice(&[
                ("owner", "only the gateway's own user may open it (0600)"),
                ("group", "its group may, too (0660)"),
                ("off", "there is no socket"),
            ]),
            absent: Absent::Is("owner"),
            doc: "Who on this machine may open the socket.",
        },
    ],
};
