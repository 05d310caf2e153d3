//! `--identity`: the key of an auditor, which opens sealed recordings.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use record::{Identities, LedgerError, MAX_IDENTITY_BYTES};
use secrecy::{ExposeSecret, SecretSlice};

use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Auditor {
    /// Open what is sealed with this age identity file, or `-` for standard input; reads the ledger's files here
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    identity: Option<PathBuf>,
}

impl Auditor {
    /// The identities, if there are any.
    pub(crate) fn identities(&self) -> Result<Option<Identities>, Failure> {
        let Some(path) = &self.identity else { return Ok(None) };
        let bytes = read(path).map_err(|fault| {
            Failure::Said(format!("--identity: `{}` cannot be read: {fault}", path.display()))
        })?;
        let identities = Identities::parse(bytes.expose_secret());
        identities.map(Some).map_err(|fault| match fault {
            LedgerError::Identity { problem, .. } => {
                Failure::Said(format!("--identity: `{}` {problem}", path.display()))
            }
            fault => Failure::Ledger(fault),
        })
    }
}

fn read(path: &Path) -> io::Result<SecretSlice<u8>> {
    let most = u64::try_from(MAX_IDENTITY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => io::stdin().lock().take(most).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(most).read_to_end(&mut bytes)?,
    };
    Ok(bytes.into())
}
