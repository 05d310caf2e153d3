//! What was packed reads back the same; what was changed does not pass for it.

use proptest::prelude::*;

use super::*;
use crate::disk::RealDisk;

fn packed(dir: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.join("a.zst");
    let _ = std::fs::remove_file(&path);
    let told = pack(&RealDisk, &mut &bytes[..], &path, &mut |_| Ok(())).unwrap();
    assert_eq!(told, Packed { length: bytes.len() as u64, sha256: crate::digest::sha256(bytes) });
    path
}

fn read(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = Unpacked::open(File::open(path)?)?;
    file.go_to(offset)?;
    let mut all = Vec::new();
    file.read_to_end(&mut all)?;
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn reads_back_the_same_from_anywhere(
        pieces in proptest::collection::vec((any::<u8>(), 0..900_000usize), 0..5),
        at in any::<proptest::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = pieces.iter().flat_map(|(byte, count)| std::iter::repeat_n(*byte, *count)).collect();
        let path = packed(dir.path(), &bytes);
        prop_assert_eq!(&read(&path, 0).unwrap(), &bytes);
        let at = at.index(bytes.len() + 1);
        prop_assert_eq!(&read(&path, at as u64).unwrap()[..], &bytes[at..]);
    }

    #[test]
    fn what_is_no_packed_segment_is_said_to_be_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.zst");
        std::fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(read(&path, 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_flip_is_found_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..300u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let path = packed(dir.path(), &bytes);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).unwrap();
        if let Ok(read) = read(&path, 0) {
            assert_eq!(read, bytes, "at {at}");
        }
    }
    for cut in [0, 1, 8, 9, 17, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(read(&path, 0).is_err());
    }
}

#[test]
fn anybody_unpacks_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = "the same again ".repeat(200_000).into_bytes();
    let path = packed(dir.path(), &bytes);
    let file = std::fs::File::open(&path).unwrap();
    // A decoder that knows nothing of the table reads the pieces one after another.
    assert_eq!(zstd::stream::decode_all(file).unwrap(), bytes);
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
}
