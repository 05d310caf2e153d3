//! From the configuration's `masking` section to rules that scan.

use std::sync::Arc;

use config::Placeholder;
use mask::{Mark, Marks, MaskError, OwnForm, OwnRule, Rules};

/// A team's own rules as the masking step takes them.
pub fn own_rules(masking: &config::Masking) -> Vec<OwnRule> {
    let rules = masking.rules.iter().map(|rule| OwnRule {
        name: rule.name.clone(),
        place: rule.place.clone(),
        class: rule.class.clone(),
        form: OwnForm::Pattern { pattern: rule.pattern.clone(), validator: rule.validator.to_owned() },
        keywords: rule.keywords.clone(),
        entropy: rule.entropy,
    });
    let words = masking.words.iter().map(|list| OwnRule {
        name: list.name.clone(),
        place: list.place.clone(),
        class: list.class.clone(),
        form: OwnForm::Words(list.words.clone()),
        keywords: Vec::new(),
        entropy: 0,
    });
    rules.chain(words).collect()
}

/// What stands in the place of values, as the masking step takes it.
pub fn marks(masking: &config::Masking) -> Marks {
    let mark = |placeholder: Placeholder| match placeholder {
        Placeholder::Class => Mark::Class,
        Placeholder::Partial => Mark::Partial,
    };
    masking.placeholders.iter().map(|(class, placeholder)| (class.clone(), mark(*placeholder))).collect()
}

/// Builds all rules, and tells what each of a team's own costs.
pub(crate) fn build(masking: &config::Masking) -> Result<Arc<Rules>, MaskError> {
    let (rules, costs) = Rules::with(&own_rules(masking), &marks(masking))?;
    for cost in &costs {
        tracing::info!(rule = %cost.name, states = cost.states, bytes = cost.bytes, hold = cost.hold, "masking rule of your own");
    }
    Ok(rules)
}
