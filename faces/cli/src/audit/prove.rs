//! `portcullis audit prove`, `check` and `consistency`: proofs for whoever does not have the record.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use model::hex;
use record::audit::{Proof, Proven, prove_consistency, prove_exchange};
use record::leaf::{Leaf, What};
use record::note;
use serde_json::{Value, json};

use super::{Where, key, newest};
use crate::failure::Failure;
use crate::out::{Out, Tone};

/// The largest file of proofs that is read, in bytes.
const MAX_PROOF: u64 = 256 << 20;

#[derive(Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    at: Where,
    /// The exchange: its request id, or enough of its beginning
    exchange: String,
    /// Prove it in the tree of this checkpoint, not of the newest one in the ledger
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Write the proof here instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The proof, as `audit prove` or `audit consistency` wrote it
    proof: PathBuf,
    /// The key that signs checkpoints: as `audit key` prints it, or a file with it
    #[arg(long)]
    key: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Consistency {
    #[command(flatten)]
    at: Where,
    /// The older checkpoint
    old: PathBuf,
    /// The newer one
    new: PathBuf,
    /// Write the proof here
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let dir = self.at.dir(out.colour())?;
        let checkpoint = self.checkpoint.as_deref().map(newest).transpose()?;
        let proofs = prove_exchange(&dir, &self.exchange, checkpoint)?;
        let (count, size) =
            (proofs.len(), proofs.first().map_or(0, |proof| proof.checkpoint.checkpoint().size));
        let proof = Proof::Inclusion(proofs);
        match self.out {
            None => out.raw(proof.to_string().as_bytes())?,
            Some(file) => {
                write(&file, &proof)?;
                let good = out.tone(Tone::Good, "ok");
                let file = file.display();
                out.line(format_args!(
                    "{good}: {file} proves {count} leaves of the exchange in the tree of {size} leaves"
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let key = key(&self.key)?;
        let named = |why: &dyn Display| Failure::Said(format!("{}: {why}", self.proof.display()));
        let mut text = String::new();
        let read = File::open(&self.proof).and_then(|file| file.take(MAX_PROOF).read_to_string(&mut text));
        read.map_err(|fault| named(&format!("cannot be read: {fault}")))?;
        let checked = text.parse::<Proof>().map_err(|fault| named(&fault)).map(|proof| proof.check(&key))?;
        match checked {
            Ok(proven) => {
                if self.json {
                    out.json(&described(&proven))?;
                } else {
                    tell(out, &proven)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(refuted) => {
                if self.json {
                    out.json(&json!({ "ok": false, "problem": refuted.to_string() }))?;
                } else {
                    let bad = out.tone(Tone::Bad, "bad");
                    out.line(format_args!("{bad}: {refuted}"))?;
                }
                Ok(ExitCode::from(1))
            }
        }
    }
}

impl Consistency {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let dir = self.at.dir(out.colour())?;
        let (old, new) = (newest(&self.old)?, newest(&self.new)?);
        let keys = record::audit::keys(&dir)?;
        let signed = |signed: &note::Signed| keys.iter().any(|used| signed.is_signed_by(&used.key));
        let forged = [(&self.old, &old), (&self.new, &new)].into_iter().find(|(_, note)| !signed(note));
        let proven = match forged {
            Some((file, _)) => Err(format!("{} is not signed by a key in the record", file.display())),
            None => match prove_consistency(&dir, old, new) {
                Ok(proof) => Ok(proof),
                Err(fault @ record::LedgerError::Unproven { .. }) => Err(fault.to_string()),
                Err(fault) => return Err(fault.into()),
            },
        };
        let (ok, said) = match &proven {
            Ok(proof) => {
                let (old, new) = (proof.old.checkpoint().size, proof.new.checkpoint().size);
                (
                    true,
                    format!(
                        "the tree of {new} leaves begins with the one of {old}: nothing was changed or removed"
                    ),
                )
            }
            Err(problem) => (false, problem.clone()),
        };
        if let (Some(file), Ok(proof)) = (&self.out, proven) {
            write(file, &Proof::Consistency(Box::new(proof)))?;
        }
        if self.json {
            out.json(&json!({ "ok": ok, "said": said }))?;
        } else {
            let label = if ok { out.tone(Tone::Good, "ok") } else { out.tone(Tone::Bad, "bad") };
            out.line(format_args!("{label}: {said}"))?;
        }
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn write(file: &Path, proof: &Proof) -> Result<(), Failure> {
    let written = std::fs::write(file, proof.to_string());
    written.map_err(|fault| Failure::Said(format!("{} cannot be written: {fault}", file.display())))
}

fn checkpoint(checkpoint: &note::Checkpoint) -> Value {
    json!({ "origin": checkpoint.origin, "size": checkpoint.size, "root": hex(&checkpoint.root) })
}

/// What a leaf says, in short.
fn said(leaf: &Leaf) -> Value {
    let id = |bytes: &[u8]| {
        <[u8; 16]>::try_from(bytes).map(|bytes| model::ExchangeId::from_bytes(bytes).to_string()).ok()
    };
    let time = Timestamp::from_nanosecond(i128::from(leaf.time)).map(|time| time.to_string()).ok();
    match &leaf.what {
        Some(What::Opened(opened)) => json!({
            "leaf": "opened", "time": time, "exchange": id(&opened.exchange), "resource": opened.resource,
            "caller": opened.caller.as_ref().map(|caller| json!({ "issuer": caller.issuer, "subject": caller.subject })),
            "operations": opened.operations.iter().map(|operation| operation.name.clone()).collect::<Vec<_>>(),
            "ruling": opened.decision.as_ref().map(|decision| decision.ruling.clone()),
        }),
        Some(What::Part(part)) => {
            json!({ "leaf": "part", "time": time, "exchange": id(&part.exchange), "number": part.number })
        }
        Some(What::Sealed(sealed)) => json!({
            "leaf": "sealed", "time": time, "exchange": id(&sealed.exchange), "outcome": sealed.outcome,
            "status": sealed.status, "answer_bytes": sealed.response.as_ref().map(|digest| digest.bytes),
        }),
        Some(What::Refused(refused)) => json!({
            "leaf": "refused", "time": time, "exchange": id(&refused.exchange), "status": refused.status,
            "code": refused.refusal.as_ref().map(|refusal| refusal.code.clone()),
        }),
        _ => json!({ "leaf": "other", "time": time }),
    }
}

fn described(proven: &Proven) -> Value {
    match proven {
        Proven::Included(leaves, of) => json!({
            "ok": true,
            "checkpoint": checkpoint(of),
            "leaves": leaves.iter().map(|(index, leaf)| json!({ "index": index, "said": said(leaf) })).collect::<Vec<_>>(),
        }),
        Proven::Grown(old, new) => json!({ "ok": true, "old": checkpoint(old), "new": checkpoint(new) }),
    }
}

fn tell(out: &mut Out, proven: &Proven) -> Result<(), Failure> {
    let good = out.tone(Tone::Good, "ok");
    match proven {
        Proven::Included(leaves, of) => {
            out.line(format_args!("{good}: in the tree {} of {} leaves:", of.origin, of.size))?;
            for (index, leaf) in leaves {
                out.line(format_args!("leaf {index}: {}", said(leaf)))?;
            }
        }
        Proven::Grown(old, new) => out.line(format_args!(
            "{good}: {}: the tree of {} leaves begins with the one of {}",
            new.origin, new.size, old.size
        ))?,
    }
    Ok(())
}
