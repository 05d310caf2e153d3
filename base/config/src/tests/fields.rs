//! What a resource says of its data, read and refused.

use model::DataClass;

use super::Folder;
use crate::reference::WHOLE;
use crate::*;

fn file(resource: &str) -> String {
    format!(
        "listeners: [127.0.0.1:8080]\nissuers:\n  corp: {{issuer: https://login.example.test, audiences: a}}\nresources:\n  \
         llama:\n    server: vllm\n    upstreams: http://127.0.0.1:8081\n{resource}"
    )
}

#[test]
fn fields_arrive_with_their_place_class_and_mask() {
    let config = Folder::new().parse(WHOLE).unwrap();
    let [llama, orders, _] = config.resources.as_slice() else { panic!("three resources") };
    let key = |text: &str| Some(text.to_owned());
    let class = |text: &str| DataClass::new(text).unwrap();
    assert_eq!(
        llama.fields,
        [
            FieldRule {
                place: FieldPlace::Body(vec![key("choices"), None, key("logprobs")]),
                class: class("model.internals"),
                dropped: false,
            },
            FieldRule {
                place: FieldPlace::Body(vec![key("usage")]),
                class: class("model.usage"),
                dropped: true,
            },
        ]
    );
    assert_eq!((llama.disclose, orders.disclose), (Disclose::Mask, Disclose::Refuse));
    assert_eq!(orders.fields[1].place, FieldPlace::Header("x-total-count".parse().unwrap()));
}

#[test]
fn mistakes_in_fields_are_told_with_their_place() {
    for (resource, place, why) in [
        ("    fields: {choices: a}\n", "8:", "no JSON pointer"),
        ("    fields:\n      /a: No Class\n", "9:11", "is no data class"),
        ("    fields:\n      /a: {masked: drop}\n", "9:", "`class` is missing"),
        ("    fields:\n      /a: {class: a, masked: hide}\n", "9:", "not known here"),
        ("    fields:\n      header:x-cost: a\n", "9:", "goes to no caller"),
        ("    fields:\n      header:content-length: a\n", "9:", "governs"),
        ("    disclose: never\n", "8:", "not known here"),
    ] {
        let told = Folder::new().faults(&file(resource));
        assert!(told.contains(&format!("portcullis.yaml:{place}")), "{resource}: {told}");
        assert!(told.contains(why) || told.contains("is no name"), "{resource}: {told}");
    }
    let returned = "    return_headers: [x-cost]\n    fields: {\"header:x-cost\": a}\n";
    assert_eq!(Folder::new().parse(&file(returned)).unwrap().resources[0].fields.len(), 1);
}
