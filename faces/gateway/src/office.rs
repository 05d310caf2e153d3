//! What the administration sees and uses of a running gateway: the same parts that carry callers'
//! requests, never copies of them.

use std::sync::Arc;

use approve::Cleared;
use authenticate::Authenticator;
use authorize::Authorizer;
use forward::{NotRotated, Rotated, UpstreamHealth};
use model::{Adapter, Clock, ResourceName};
use record::Ledger;

use crate::Gateway;

/// A resource as it is served now.
#[derive(Clone)]
pub struct Place {
    /// Its name.
    pub name: ResourceName,
    /// Its kind, as policies read it.
    pub kind: &'static str,
    /// How its requests and answers are read.
    pub adapter: Arc<dyn Adapter>,
}

/// A resource with its settings, and how it stands.
#[derive(Clone, Debug)]
pub struct ResourceState {
    /// As configured. Secrets are references in it.
    pub settings: config::Resource,
    /// Its upstreams, in the order of the configuration.
    pub upstreams: Vec<UpstreamHealth>,
}

impl Gateway {
    /// Who verifies tokens now.
    pub fn authenticator(&self) -> Arc<Authenticator> {
        Arc::clone(&self.setup().authenticator)
    }

    /// Who decides.
    pub fn authorizer(&self) -> &Arc<Authorizer> {
        &self.authorizer
    }

    /// Where everything is recorded.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is masked.
    pub fn rules(&self) -> Arc<mask::Rules> {
        Arc::clone(&self.setup().rules)
    }

    /// The clock all of it reads.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The configuration in use.
    pub fn config(&self) -> config::Config {
        self.setup().config.clone()
    }

    /// A resource that is served now.
    pub fn place(&self, name: &ResourceName) -> Option<Place> {
        let setup = self.setup();
        let (name, place) = setup.table.iter().find(|(known, _)| *known == name)?;
        Some(Place { name: name.clone(), kind: place.target.kind, adapter: Arc::clone(&place.adapter) })
    }

    /// Replaces the credential of a resource: makes a new one, proves it at the upstreams, and only then lets go
    /// of the old.
    ///
    /// # Errors
    /// Why the old one is used on. Names hosts: it is for operators.
    pub async fn rotate(&self, cleared: &Cleared, name: &ResourceName) -> Result<Rotated, NotRotated> {
        let place = self.setup().find(name).ok_or(NotRotated::NoCredential)?;
        let rotated = Box::pin(place.upstreams.rotate(cleared)).await;
        let outcome = if rotated.is_ok() { "rotated" } else { "failed" };
        metrics::counter!("portcullis_credential_rotations_total", "resource" => name.to_string(), "outcome" => outcome)
            .increment(1);
        match &rotated {
            Ok(_) => tracing::info!(resource = %name, "the credential was replaced"),
            Err(why) => tracing::warn!(resource = %name, %why, "the credential was not replaced"),
        }
        rotated
    }

    /// Every resource, by name.
    pub fn resources(&self) -> Vec<ResourceState> {
        let setup = self.setup();
        let places = setup.places();
        let mut states: Vec<ResourceState> = setup
            .config
            .resources
            .iter()
            .map(|settings| ResourceState {
                settings: settings.clone(),
                upstreams: places
                    .get(&settings.name)
                    .map(|place| place.upstreams.health())
                    .unwrap_or_default(),
            })
            .collect();
        states.sort_by(|one, other| one.settings.name.cmp(&other.settings.name));
        states
    }
}
