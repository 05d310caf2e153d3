//! The other direction: what may not reach an upstream is masked in a request before it is recorded.
//!
//! A request is there whole, so each of its texts is scanned once. Nothing is written anew unless
//! something is found.

use bytes::{Bytes, BytesMut};
use model::{AskedText, DataClass, Encoding, Findings, Reveal};

use crate::lane::{Bench, Judge, LaneText};
use crate::rules::Rules;

/// A request in which something was found.
#[derive(Debug)]
pub struct Disclosed {
    /// The body with what may not go masked.
    pub body: Bytes,
    /// What was found.
    pub findings: Findings,
    /// A class found where nothing may be changed, because policy judged by it.
    pub fixed: Option<DataClass>,
}

/// Masks what `allowed` does not let go in the texts of a request's body. None when nothing is masked:
/// then the body goes as it came.
pub fn disclose(rules: &Rules, allowed: &dyn Reveal, body: &Bytes, texts: &[AskedText]) -> Option<Disclosed> {
    // What may not reach a model does not reach it in part either.
    let (mut judge, mut out, mut lane) = (Judge::of_classes(), BytesMut::new(), LaneText::default());
    let mut fixed = None;
    let mut masked: Vec<(&AskedText, BytesMut)> = Vec::new();
    for text in texts {
        let Some(raw) = body.get(text.range.clone()) else { continue };
        let before = judge.masks;
        let known = if text.fixed { judge.findings.masked.clone() } else { Default::default() };
        let mut bench = Bench { rules, reveal: allowed, judge: &mut judge, out: &mut out };
        match text.encoding {
            Encoding::JsonString => lane.json(raw, true, &mut bench),
            _ => lane.plain(raw, true, &mut bench),
        }
        if judge.masks == before {
            out.clear();
            continue;
        }
        if text.fixed {
            let new = judge.findings.masked.iter().find(|(class, count)| known.get(class) != Some(count));
            fixed = fixed.or_else(|| new.map(|(class, _)| class.clone()));
        }
        masked.push((text, out.split()));
    }
    if masked.is_empty() {
        return None;
    }
    let mut whole = BytesMut::with_capacity(body.len());
    let mut at = 0;
    for (text, instead) in masked {
        whole.extend_from_slice(body.get(at..text.range.start).unwrap_or_default());
        // A number that is masked becomes a string.
        let quote: &[u8] = if text.encoding == Encoding::JsonNumber { b"\"" } else { b"" };
        [quote, &instead, quote].into_iter().for_each(|part| whole.extend_from_slice(part));
        at = text.range.end;
    }
    whole.extend_from_slice(body.get(at..).unwrap_or_default());
    Some(Disclosed { body: whole.freeze(), findings: judge.findings, fixed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ALNUM, Shows, noise, rules};

    fn text(body: &str, part: &str, encoding: Encoding, fixed: bool) -> AskedText {
        let start = body.find(part).unwrap();
        AskedText { range: start..start + part.len(), encoding, fixed }
    }

    #[test]
    fn only_what_may_not_go_is_changed() {
        let token = format!("{}{}", "ghp_", noise(1, 36, ALNUM));
        let card = ["4111", "1111", "1111", "1111"].concat();
        let escaped: String = token.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let body = format!(r#"{{"a":"see {token} and a@b.org","n":{card},"e":"{escaped}\n"}}"#);
        let texts = [
            text(&body, &format!("see {token} and a@b.org"), Encoding::JsonString, false),
            text(&body, &card, Encoding::JsonNumber, false),
            text(&body, &format!("{escaped}\\n"), Encoding::JsonString, false),
        ];
        let bytes = Bytes::from(body.clone());
        assert!(disclose(&rules(), &Shows(vec!["pii", "credential"]), &bytes, &texts).is_none());
        let some = disclose(&rules(), &Shows(vec!["pii"]), &bytes, &texts).unwrap();
        let expected = format!(
            r#"{{"a":"see [credential.github] and a@b.org","n":{card},"e":"[credential.github]\n"}}"#
        );
        assert_eq!(some.body, expected);
        assert!(some.fixed.is_none());
        assert_eq!(some.findings.masked.values().sum::<u64>(), 2);
        let all = disclose(&rules(), &Shows(vec![]), &bytes, &texts).unwrap();
        let all: serde_json::Value = serde_json::from_slice(&all.body).unwrap();
        assert_eq!(all["n"], "[pii.credit-card]");
    }

    #[test]
    fn what_must_not_change_is_told() {
        let token = format!("{}{}", "npm_", noise(1, 36, ALNUM));
        let body = format!(r#"{{"model":"{token}","x":"a@b.org"}}"#);
        let texts = [
            text(&body, &token, Encoding::JsonString, true),
            text(&body, "a@b.org", Encoding::JsonString, false),
        ];
        let found = disclose(&rules(), &Shows(vec![]), &Bytes::from(body), &texts).unwrap();
        assert_eq!(found.fixed.unwrap().as_str(), "credential.npm");
    }
}
