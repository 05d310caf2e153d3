//! What a resource says of the data in its answers and requests.

use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{Disclose, FieldPlace, FieldRule};
use crate::value;

/// The most fields of one resource.
const MOST_FIELDS: usize = 200;

pub(super) fn disclose(section: &Mapping<'_>) -> Disclose {
    match section.choice("disclose") {
        Some("refuse") => Disclose::Refuse,
        _ => Disclose::Mask,
    }
}

pub(super) fn fields(section: &Mapping<'_>) -> Vec<FieldRule> {
    let named = section.named("fields");
    if named.len() > MOST_FIELDS {
        section.fault(format!("{} fields are named here", named.len()), format!("at most {MOST_FIELDS}"));
    }
    let returned = section.list("return_headers", value::header);
    let mut fields = Vec::new();
    for (place, item) in named {
        let Some(keys) = item.section() else { continue };
        let class = keys.parse("class", value::class);
        let dropped = keys.choice("masked") == Some("drop");
        // A place that is none was noted.
        let (Ok(place), Some(class)) = (value::field(&place), class) else { continue };
        if let FieldPlace::Header(header) = &place
            && !value::returned_always(header)
            && !returned.contains(header)
        {
            let message = format!("the header {} goes to no caller", shown(header.as_str()));
            keys.fault(message, "the same header in `return_headers`, or no such field");
        }
        fields.push(FieldRule { place, class, dropped });
    }
    fields
}
