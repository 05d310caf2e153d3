//! The ledger's reader on any bytes: behind a real header, as they are, or cut into frames whose
//! checksums hold, so that the messages inside are reached too. It must end, in order, and not break.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use model::SystemClock;
use prost::Message;
use record::leaf::Leaf;
use record::{HEADER, Ledger, MAX_PAYLOAD, Position, Series, Settings};

fuzz_target!(|input: (bool, Vec<&[u8]>)| {
    let (framed, pieces) = input;
    let ground = ground();
    let mut file = ground.header.clone();
    for piece in pieces {
        if framed {
            let length = u32::try_from(piece.len()).expect("inputs are short").to_le_bytes();
            let sum = crc32c::crc32c_append(crc32c::crc32c(&length), piece);
            file.extend_from_slice(&length);
            file.extend_from_slice(&sum.to_le_bytes());
        }
        file.extend_from_slice(piece);
    }
    let series = Series::leaves(&ground.dir);
    fs::write(series.path(1), &file).expect("a temporary file");
    let mut reader = series.read(Position { segment: 1, offset: HEADER });
    let mut last = None;
    // Every step reads at least a frame's head, so there are no more steps than bytes.
    for _ in 0..=file.len() {
        match reader.next() {
            Ok(None) => return,
            Ok(Some((at, frame))) => {
                assert!(last.is_none_or(|last| at > last), "{at:?} after {last:?}");
                assert!(frame.payload.len() <= MAX_PAYLOAD);
                last = Some(at);
                if let Ok(leaf) = Leaf::decode(frame.payload.as_slice()) {
                    assert_eq!(Leaf::decode(leaf.encode_to_vec().as_slice()).as_ref(), Ok(&leaf));
                }
            }
            Err(damage) => assert!(!damage.to_string().is_empty()),
        }
    }
    panic!("the reader does not come to an end");
});

struct Ground {
    dir: PathBuf,
    header: Vec<u8>,
}

/// A folder with one segment whose header is as the ledger itself writes it.
fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder").keep();
        let header = real_header(&dir.join("real"));
        fs::create_dir_all(dir.join("leaves")).expect("a folder for leaves");
        Ground { dir, header }
    })
}

fn real_header(dir: &Path) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = Settings::new(dir, dir.with_extension("key"));
        let ledger = Ledger::open(settings, Arc::new(SystemClock::default())).expect("a new ledger");
        ledger.close().await.expect("a ledger that ends");
    });
    let file = fs::read(Series::leaves(dir).path(1)).expect("a first segment");
    file[..usize::try_from(HEADER).expect("a length")].to_vec()
}
