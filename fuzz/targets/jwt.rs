//! What a token must survive before any key is looked for: no input breaks the front end.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &[u8]| {
    let first = authenticate::front_end(token).is_ok();
    assert_eq!(first, authenticate::front_end(token).is_ok(), "the same token, another answer");
});
