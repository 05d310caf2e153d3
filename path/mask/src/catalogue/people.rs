//! Values about people that no one state gives.

use crate::check::people::{
    BASE58_CHECK, BECH32, CALLED, CALLED_PHONE, DAY, EIP_55, IPV4, IPV6, MAC, MRZ, PHONE, PLACE, TRACK, VIN,
};
use crate::check::{ANY, CARD, EMAIL, IBAN, LAST_DIGITS, LUHN, LUHN_12_19, nations::BIC};
use crate::rule::{Around, Rule, Shape};

/// Six to fifteen digits with signs between; maybe an extension. Behind an escaped line's end too, as it stands
/// in JSON that is not decoded.
const NUMBER: &str = concat!(
    r"(?:\\[nrt](?:\+|\(\+?)?|\b|\+|\(\+?)[0-9](?:(?:[ ./-]|\) ?| \(|\(|\)-|-\()?[0-9]){5,14}\b",
    r"(?: ?(?:x|ext\.? ?)[0-9]{1,6}\b)?",
);

/// Those of them that need no words: behind a `+` or a bracket, or grouped as in North America. The check asks
/// for the same; written out, other digits are no look-alikes.
const FORMED_NUMBER: &str = concat!(
    r"(?:(?:\\[nrt])?(?:\+|\(\+?)[0-9](?:(?:[ ./-]|\) ?| \(|\(|\)-|-\()?[0-9]){5,14}",
    r"|(?:\\[nrt]|\b)(?:1(?:[ ./-]|\) ?| \(|\(|\)-|-\())?[2-9][0-9]{2}(?:[ ./-]|\) ?| \(|\(|\)-|-\()",
    r"[2-9][0-9]{2}(?:[ ./-]|\) ?| \(|\(|\)-|-\()[0-9]{4})\b",
    r"(?: ?(?:x|ext\.? ?)[0-9]{1,6}\b)?",
);

/// Every rule, in order of precedence.
pub(super) fn rules() -> Vec<Rule> {
    let pii = Rule::spelled;
    let cards = "ISO/IEC 7812-1";
    vec![
        Rule {
            shape: Shape::Around(Around {
                sign: b'@',
                run: |b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b),
                // Not `_`: in Markdown it is more often emphasis than part of an address.
                first: |b| b.is_ascii_alphanumeric(),
                longest: 64,
                right: r"@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,40})(?:\b|_)",
            }),
            ..pii("email", "pii.email", "", EMAIL, "RFC 5321, section 4.1.2 (dot-strings and host names)")
        },
        pii("credit-card", "pii.credit-card", r"\b[1-6](?:[0-9][ -]?){10,17}[0-9]\b|\b81(?:[0-9][ -]?){13,16}[0-9]\b", CARD, cards),
        pii("credit-card-worded", "pii.credit-card", r"\b[0-9](?:[ -]?[0-9]){11,18}\b", LUHN_12_19, cards).near(&["card", "credit card", "debit card", "cc", "visa", "mastercard", "amex", "pan"]),
        pii("card-track", "pii.credit-card", r"%B[0-9]{12,19}\^[A-Za-z /.-]{2,26}\^[0-9]{7,30}\??|;[0-9]{12,19}=[0-9]{7,30}\?", TRACK, "ISO/IEC 7813"),
        pii("card-code", "pii.card-code", r#"\b(?i:cvv2?|cvc2?|cid|card code|security code)(?i: (?:is|code|number))?["' :=#]{1,8}[0-9]{3,4}\b"#, LAST_DIGITS, "payment schemes: CVV, CVC, CID"),
        pii("card-expiry", "pii.card-expiry", r#"\b(?i:exp(?:iry|ires|iration)?|valid (?:thru|until))(?i: (?:date|on|is)){0,2}["' :=.]{1,8}(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4][0-9]\b"#, LAST_DIGITS, "ISO/IEC 7813"),
        iban_rule(),
        pii("bic", "pii.bic", r"\b[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b", BIC, "ISO 9362").near(&["bic", "swift", "swift code"]),
        pii("ipv4", "pii.ip-address", r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b", IPV4, "RFC 791; IANA special-purpose registry"),
        pii("ipv6", "pii.ip-address", r"\b[0-9A-Fa-f]{1,4}(?:::?[0-9A-Fa-f]{1,4}){3,7}(?:::)?\b", IPV6, "RFC 4291; IANA special-purpose registry"),
        pii("mac-address", "pii.mac-address", r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b", MAC, "IEEE 802"),
        pii("date-of-birth", "pii.date-of-birth", r"\b(?:[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{4}|[0-9]{2})|[12][0-9]{3}[/.-][0-9]{1,2}[/.-][0-9]{1,2}|[0-9]{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6} [12][0-9]{3}|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6} [0-9]{1,2}, [12][0-9]{3})\b", DAY, "ISO 8601 and customary orders").near(&["born", "birth", "dob", "birthday", "birthdate", "date of birth", "d.o.b", "geboren", "geburtsdatum", "nacimiento", "naissance", "nascimento"]),
        pii("imei", "pii.imei", r"\b[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]\b", LUHN, "3GPP TS 23.003, section 6").near(&["imei"]),
        pii("iccid", "pii.iccid", r"\b89[0-9]{16,18}\b", LUHN, "ITU-T E.118").near(&["iccid", "sim"]),
        pii("vin", "pii.vin", r"\b[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{4}[0-9]{4}\b", VIN, "ISO 3779; 49 CFR 565.15"),
        pii("coordinates", "pii.location", r"-?\b[0-9]{1,2}\.[0-9]{3,9}, ?-?[0-9]{1,3}\.[0-9]{3,9}\b", PLACE, "ISO 6709").near(&["lat", "latitude", "coordinates", "gps", "location", "geo", "position", "coords", "latlng"]),
        pii("bitcoin", "pii.crypto", r"\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b", BASE58_CHECK, "Bitcoin, Base58Check"),
        pii("bitcoin-bech32", "pii.crypto", r"\bbc1[02-9ac-hj-np-z]{11,71}\b", BECH32, "BIP 173, BIP 350"),
        pii("ethereum", "pii.crypto", r"\b0x[0-9a-fA-F]{40}\b", EIP_55, "EIP-55"),
        pii("monero", "pii.crypto", r"\b[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}\b", crate::check::VARIED, "Monero, standard addresses"),
        pii("mrz", "pii.passport", r"\b[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{7}[MFX<][0-9]{7}[A-Z0-9<]{14}[0-9<][0-9]\b", MRZ, "ICAO Doc 9303-4"),
        pii("web-page", "pii.url", r"\bhttps?://[A-Za-z0-9.-]{3,64}(?:/[!-~&&[^\s<>]]{0,64})?", ANY, "RFC 3986").near(&["my website", "my homepage", "my site", "my blog", "my profile", "linkedin profile", "personal website"]),
    ]
}

/// Countries by the length of their IBANs (SWIFT, IBAN registry). Written out, a look-alike is judged once.
fn iban_rule() -> Rule {
    let one = |(codes, length): &(&[u8], usize)| {
        let codes: Vec<_> = codes.chunks(2).map(|c| String::from_utf8_lossy(c)).collect();
        format!("(?:{})[0-9]{{2}}(?: ?[A-Z0-9]){{{}}}", codes.join("|"), length - 4)
    };
    let all: Vec<String> = crate::check::IBAN_LENGTHS.iter().map(one).collect();
    Rule::spelled(
        "iban",
        "pii.iban",
        format!(r"\b(?:{})\b", all.join("|")),
        IBAN,
        "ISO 13616-1; SWIFT IBAN registry",
    )
}

/// Telephone numbers, behind all other numbers: they have no check digit.
pub(super) fn phones() -> Vec<Rule> {
    let source = "ITU-T E.164; national numbering plans";
    vec![
        Rule::spelled("phone", "pii.phone", FORMED_NUMBER, PHONE, source),
        Rule::spelled("phone-worded", "pii.phone", NUMBER, CALLED_PHONE, source).near(CALLED),
    ]
}
