//! Counts: how many answers a request asks for, and how long they may be.

use model::{Facts, Refusal};

use super::{Body, Profile, malformed};
use crate::json::{Node, Number, Value};

/// Where limits on the tokens of one answer stand.
const TOKEN_LIMITS: &[&[&str]] = &[
    &["max_tokens"],
    &["max_completion_tokens"],
    &["max_output_tokens"],
    &["max_new_tokens"],
    &["n_predict"],
    &["options", "num_predict"],
    &["sampling_params", "max_tokens"],
    &["sampling_params", "max_new_tokens"],
    &["parameters", "max_new_tokens"],
    &["parameters", "max_tokens"],
];

/// Where the number of answers to one input stands.
const ANSWERS: &[&[&str]] = &[
    &["n"],
    &["best_of"],
    &["sampling_params", "n"],
    &["sampling_params", "best_of"],
    &["parameters", "best_of"],
];

/// An integer at a path of keys; null counts as missing. A float without a fraction is an integer to
/// some readers, and so it is here.
fn integer(body: &Body<'_>, path: &[&str]) -> Result<Option<i128>, Refusal> {
    let bad = || malformed(format!("`{}` must be an integer.", path.join(".")));
    match body {
        Body::Form(form) => match path {
            [key] => {
                form.field(key).map(|text| text.parse::<i64>().map(i128::from).map_err(|_| bad())).transpose()
            }
            _ => Ok(None),
        },
        Body::Json(root) => match root.at(path).map(|node| &node.value) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(Number::Unsigned(count))) => Ok(Some(i128::from(*count))),
            Some(Value::Number(Number::Signed(count))) => Ok(Some(i128::from(*count))),
            Some(Value::Number(Number::Float(float))) if float.fract() == 0.0 && float.abs() < 1e15 => {
                // Exact: an integral float below 2^53.
                format!("{float:.0}").parse().map(Some).map_err(|_| bad())
            }
            Some(_) => Err(bad()),
        },
        Body::Empty | Body::Opaque => Ok(None),
    }
}

/// The product of array inputs, `n` and `best_of`, at least 1. Saturates.
pub(super) fn batch(body: &Body<'_>, profile: &Profile) -> Result<i128, Refusal> {
    let mut product: i128 = 1;
    for path in ANSWERS {
        let count = integer(body, path)?.unwrap_or(1);
        product = product.saturating_mul(count.max(1));
    }
    if let Some(root) = body.root() {
        for key in profile.inputs {
            let count = root.get(key).map_or(1, |node| inputs(node, *key == "messages"));
            product = product.saturating_mul(count.max(1));
        }
    }
    Ok(product)
}

/// How many inputs a value is: one, or as many as an array holds, unless the array is one input of
/// token numbers or, where `chats`, one conversation of messages.
fn inputs(node: &Node<'_>, chats: bool) -> i128 {
    let items = node.items();
    // Tensors: the first dimension of each is how many inputs they hold together.
    let first = |item: &Node<'_>| item.get("shape").and_then(|shape| shape.items().first()?.count());
    if let Some(most) =
        items.iter().map(first).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
    {
        return i128::from(most);
    }
    let is_message = |item: &Node<'_>| chats && !item.members().is_empty();
    let one = |item: &Node<'_>| matches!(item.value, Value::Number(_)) || is_message(item);
    if items.iter().all(one) { 1 } else { i128::try_from(items.len()).unwrap_or(i128::MAX) }
}

/// The most tokens the model may write over the whole batch. No limit, and 0 or less, which some
/// servers read as none, count as [`Facts::BOUND`]. Of several limits the largest counts: which one a
/// server obeys differs.
pub(super) fn max_tokens(body: &Body<'_>, batch: i128) -> Result<i64, Refusal> {
    let mut largest: Option<i128> = None;
    for path in TOKEN_LIMITS {
        if let Some(limit) = integer(body, path)? {
            let limit = if limit <= 0 { i128::from(Facts::BOUND) } else { limit };
            largest = largest.max(Some(limit));
        }
    }
    Ok(Facts::clamp(largest.unwrap_or(i128::from(Facts::BOUND)).saturating_mul(batch)))
}

/// Whether a duration, as Go reads one from a number of seconds or from text such as `0s`, is zero.
pub(super) fn is_zero_duration(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Number(Number::Unsigned(seconds)) => *seconds == 0,
        // Durations are whole nanoseconds: anything less is none.
        Value::Number(Number::Float(seconds)) => (0.0..1e-9).contains(seconds),
        Value::String(text) => {
            let amount = text.strip_prefix(['+', '-']).unwrap_or(text);
            amount.contains('0')
                && amount
                    .bytes()
                    .all(|b| matches!(b, b'0' | b'.' | b'h' | b'm' | b's' | b'u' | b'n') || !b.is_ascii())
        }
        _ => false,
    }
}
