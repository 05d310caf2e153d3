//! A path is read in one way or refused, and what was read reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resolve::NormalPath;

fuzz_target!(|raw: &str| {
    let Ok(path) = NormalPath::parse(raw) else { return };
    let read = path.as_str();
    assert!(read.starts_with('/'), "{raw:?} became {read:?}");
    assert!(!read.contains("//") && !read.contains('\\'), "{raw:?} became {read:?}");
    assert!(read.split('/').all(|segment| segment != "." && segment != ".."), "{raw:?} became {read:?}");
    assert!(read.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{raw:?} became {read:?}");
    let again = NormalPath::parse(read).expect("what was normalised is normal");
    assert_eq!(again.as_str(), read, "{raw:?}");
});
