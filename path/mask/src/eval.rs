//! How well the rules find what others have labelled: recall, precision and near-misses, by family.
//!
//! A case is a text with the places of its values, each of a type such as `CRED/github` or `PII/IBAN_CODE`,
//! or a near-miss: a text that looks like a family's and holds none of its values.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::rules::Rules;
use crate::text::Find;

/// One labelled text.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// The text.
    pub text: String,
    /// Its values: first byte, end, type.
    #[serde(default)]
    pub spans: Vec<(usize, usize, String)>,
    /// The type that this text only looks like.
    #[serde(default)]
    pub neg_for: Option<String>,
}

/// What was counted of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Family {
    /// Labelled values.
    pub values: u64,
    /// Of these, how many a find of the right kind overlaps: any credential's for a credential, the type's
    /// own class for personal data.
    pub found: u64,
    /// Of these, how many are masked to at least nine bytes in ten.
    pub whole: u64,
    /// Finds of the type's own class, in all texts.
    pub finds: u64,
    /// Of these, how many overlap a labelled value of the same group.
    pub right: u64,
    /// Near-misses of it.
    pub near_misses: u64,
    /// Of these, how many have a find of this family's class.
    pub flagged: u64,
}

/// What was counted.
#[derive(Debug, Default, Serialize)]
pub struct Evaluation {
    /// Texts.
    pub cases: u64,
    /// Of all labelled credentials, which part was found.
    pub credential_recall: f64,
    /// Of all labelled values of personal types that a validator or a plan can judge, which part was found.
    pub pii_recall: f64,
    /// Of all near-misses, which part was flagged as their own family.
    pub near_miss_rate: f64,
    /// Of all near-misses, which part has any credential's find.
    pub near_miss_any_rate: f64,
    /// Of all finds of credentials, which part overlaps a labelled one. Not every value is labelled.
    pub credential_precision: f64,
    /// Of all finds of personal data, which part overlaps a labelled value. Not every value is labelled.
    pub pii_precision: f64,
    /// By type.
    pub families: BTreeMap<String, Family>,
    /// Near-misses left out because the same value is labelled as a value of the same family elsewhere.
    pub contradictions: u64,
    #[serde(skip)]
    finds: [(u64, u64); 2],
    #[serde(skip)]
    by_class: BTreeMap<String, (u64, u64)>,
    #[serde(skip)]
    labelled: HashSet<(String, String)>,
}

/// Types whose class is named otherwise.
const CLASSES: &[(&str, &str)] = &[
    ("EMAIL_ADDRESS", "pii.email"),
    ("EMAIL", "pii.email"),
    ("PHONE_NUMBER", "pii.phone"),
    ("IBAN_CODE", "pii.iban"),
    ("IP_ADDRESS", "pii.ip-address"),
    ("IP", "pii.ip-address"),
    ("SWIFT_BIC", "pii.bic"),
    ("US_DRIVER_LICENSE", "pii.driver-license"),
    ("UK_DRIVING_LICENCE", "pii.driver-license"),
    ("US_PASSPORT", "pii.passport"),
    ("UK_PASSPORT", "pii.passport"),
    ("MRZ", "pii.passport"),
    ("BR_TITULO_ELEITORAL", "pii.br-titulo"),
    ("ABA_ROUTING", "pii.us-bank"),
    ("US_BANK_NUMBER", "pii.us-bank"),
    ("MEDICAL_LICENSE", "pii.us-medical-license"),
    ("UK_VRM", "pii.uk-vehicle"),
    ("UK_POSTCODE", "pii.postcode"),
    ("GEO", "pii.location"),
    ("GEO_COORDINATES", "pii.location"),
    ("DOB", "pii.date-of-birth"),
    ("DE_SOCIAL_SECURITY", "pii.de-pension"),
    ("DE_PASSPORT", "pii.de-id-card"),
    ("SE_ORG", "pii.se-personnummer"),
    ("CZ_RC", "pii.cz-birth-number"),
    ("SK_RC", "pii.cz-birth-number"),
    ("CN_RIC", "pii.cn-resident-id"),
    ("TH_TNIN", "pii.th-id"),
    ("TR_NATIONAL_ID", "pii.tr-id"),
    ("KR_FRN", "pii.kr-rrn"),
];

/// The class of a type's finds; `None` for types that only a model can find.
fn class_of(rules: &Rules, kind: &str) -> Option<String> {
    let (group, name) = kind.split_once('/')?;
    let written = name.to_ascii_lowercase().replace('_', "-");
    let class = match group {
        "CRED" if written == "privatekey" => "credential.private-key".to_owned(),
        "CRED" if written == "curl" => "credential.http".to_owned(),
        "CRED" => format!("credential.{written}"),
        _ => CLASSES
            .iter()
            .find(|(t, _)| *t == name)
            .map_or(format!("pii.{written}"), |(_, c)| (*c).to_owned()),
    };
    if rules.classes().iter().any(|c| c.as_str() == class) {
        return Some(class);
    }
    (group == "CRED").then(|| "credential.generic".to_owned())
}

impl Evaluation {
    /// Notes what a case labels, so that a near-miss that says the opposite can be told. First all cases
    /// are noted, then all are added.
    pub fn note(&mut self, case: &Case) {
        for (start, end, kind) in &case.spans {
            if let Some(value) = case.text.get(*start..*end) {
                self.labelled.insert((kind.clone(), value.to_owned()));
            }
        }
    }

    /// Counts one case.
    pub fn add(&mut self, rules: &Rules, case: &Case) {
        // As a stream is masked: escapes and base64 are looked into.
        let finds: Vec<Find> = rules.hidden(case.text.as_bytes()).into_iter().map(|h| h.find).collect();
        self.cases += 1;
        for (start, end, kind) in &case.spans {
            self.value(rules, &finds, *start..*end, kind);
        }
        if let Some(kind) = &case.neg_for {
            let class = class_of(rules, kind);
            let said =
                |f: &Find| case.text.get(f.range.clone()).map(|value| (kind.clone(), value.to_owned()));
            if finds.iter().filter_map(said).any(|value| self.labelled.contains(&value)) {
                self.contradictions += 1;
                return;
            }
            let flagged = finds.iter().any(|f| Some(f.class.as_str()) == class.as_deref());
            let any = finds.iter().any(|f| f.class.as_str().starts_with("credential."));
            let family = self.families.entry(kind.clone()).or_default();
            family.near_misses += 1;
            family.flagged += u64::from(flagged);
            self.near_miss_any_rate += f64::from(u8::from(any));
        }
        for find in &finds {
            let credential = find.class.as_str().starts_with("credential.");
            let group = if credential { "CRED/" } else { "PII/" };
            let right = case
                .spans
                .iter()
                .any(|(s, e, kind)| kind.starts_with(group) && overlap(&find.range, &(*s..*e)) > 0);
            let [credentials, personal] = &mut self.finds;
            let (all, good) = if credential { credentials } else { personal };
            *all += 1;
            *good += u64::from(right);
            let counts = self.by_class.entry(find.class.as_str().to_owned()).or_default();
            counts.0 += 1;
            counts.1 += u64::from(right);
        }
    }

    fn value(&mut self, rules: &Rules, finds: &[Find], range: Range<usize>, kind: &str) {
        let class = class_of(rules, kind);
        let right = |find: &&Find| {
            let name = find.class.as_str();
            if kind.starts_with("CRED/") {
                name.starts_with("credential.")
            } else {
                Some(name) == class.as_deref()
            }
        };
        let found = finds.iter().filter(right).any(|f| overlap(&f.range, &range) > 0);
        let masked: usize = finds.iter().map(|f| overlap(&f.range, &range)).sum();
        let family = self.families.entry(kind.to_owned()).or_default();
        family.values += 1;
        family.found += u64::from(found);
        family.whole += u64::from(masked * 10 >= range.len() * 9);
    }

    /// Works out the shares. Call it once, after the last case.
    pub fn finish(&mut self, rules: &Rules) {
        for (kind, family) in &mut self.families {
            if let Some((finds, right)) = class_of(rules, kind).and_then(|class| self.by_class.get(&class)) {
                (family.finds, family.right) = (*finds, *right);
            }
        }
        let share = |part: u64, all: u64| if all == 0 { 0.0 } else { ratio(part) / ratio(all) };
        let sum = |wanted: &dyn Fn(&str) -> bool, of: fn(&Family) -> u64| -> u64 {
            self.families.iter().filter(|(kind, _)| wanted(kind)).map(|(_, f)| of(f)).sum()
        };
        let credential = |kind: &str| kind.starts_with("CRED/");
        let personal = |kind: &str| kind.starts_with("PII/") && class_of(rules, kind).is_some();
        self.credential_recall = share(sum(&credential, |f| f.found), sum(&credential, |f| f.values));
        self.pii_recall = share(sum(&personal, |f| f.found), sum(&personal, |f| f.values));
        let misses = sum(&|_| true, |f| f.near_misses);
        self.near_miss_rate = share(sum(&|_| true, |f| f.flagged), misses);
        self.near_miss_any_rate = if misses == 0 { 0.0 } else { self.near_miss_any_rate / ratio(misses) };
        let [(all, good), (all_personal, good_personal)] = self.finds;
        self.credential_precision = share(good, all);
        self.pii_precision = share(good_personal, all_personal);
    }

    /// Whether rules of ours find this type; the others are named in the table only.
    pub fn judges(rules: &Rules, kind: &str) -> bool {
        class_of(rules, kind).is_some()
    }
}

fn ratio(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> usize {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}
