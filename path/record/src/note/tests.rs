//! Notes against the example of the specification, and against every byte flipped.

use super::*;

/// The example of c2sp.org/tlog-checkpoint.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
/// The key of Go's checksum database, as every Go distribution has it.
const SUMDB: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap()
}

fn signed() -> Signed {
    Checkpoint { origin: "portcullis/test".into(), size: 7, root: [3; 32] }.sign([&pair()]).unwrap()
}

#[test]
fn the_examples_of_others_are_read() {
    let note: Signed = EXAMPLE.parse().unwrap();
    assert_eq!(note.checkpoint().size, 20_852_163);
    assert_eq!(note.checkpoint().origin, "example.com/behind-the-sofa");
    assert_eq!(note.to_string(), EXAMPLE);
    let key: VerifierKey = SUMDB.parse().unwrap();
    assert_eq!((key.name(), key.to_string().as_str()), ("sum.golang.org", SUMDB));
    assert!(!note.is_signed_by(&key));
    assert!(SUMDB.replace("033d", "033e").parse::<VerifierKey>().is_err());
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    let key = verifier("portcullis/test", &pair());
    let note = signed();
    assert!(note.is_signed_by(&key) && note.is_signed_by_none_but(std::slice::from_ref(&key)));
    assert!(!note.is_signed_by(&VerifierKey::new("portcullis/other", *key.public())));
    let stranger = Ed25519KeyPair::from_seed_unchecked(&[6; 32]).unwrap();
    let both = note.checkpoint().clone().sign([&pair(), &stranger]).unwrap();
    assert!(both.is_signed_by(&key) && !both.is_signed_by_none_but(&[key]));
}

#[test]
fn every_flipped_bit_is_found() {
    let key = verifier("portcullis/test", &pair());
    let text = signed().to_string();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let read: Vec<_> = Notes::new(bytes.as_slice()).collect();
            let sound = read.len() == 1
                && read
                    .iter()
                    .flatten()
                    .any(|(_, note)| note.is_signed_by_none_but(std::slice::from_ref(&key)));
            assert!(!sound, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn many_are_read_one_after_another() {
    let one = signed().to_string();
    let two = EXAMPLE.to_owned();
    let all = format!("{one}{two}{one}");
    let read: Result<Vec<_>, _> = Notes::new(all.as_bytes()).collect();
    let places: Vec<u64> = read.unwrap().into_iter().map(|(at, _)| at).collect();
    assert_eq!(places, [0, one.len() as u64, (one.len() + two.len()) as u64]);
    let cut = &all.as_bytes()[..all.len() - 1];
    let read: Vec<_> = Notes::new(cut).collect();
    assert!(read.len() == 3 && read[2].is_err());
    assert!(Notes::new(&b""[..]).next().is_none());
    assert!(Notes::new(vec![b'x'; 1 << 20].as_slice()).all(|note| note.is_err()));
}

proptest::proptest! {
    #[test]
    fn random_text_never_panics(text in "[ -~\n\u{2014}]{0,200}", bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = text.parse::<Signed>();
        let _ = text.parse::<VerifierKey>();
        let _ = Notes::new(bytes.as_slice()).count();
    }
}
