//! What an agent serves, and how much of it at once.

use std::collections::HashMap;
use std::sync::Arc;

use config::AgentConfig;
use forward::Upstreams;
use model::{Clock, ResourceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::AgentError;

/// Memory for bodies is given out in pieces of this size, in bytes.
const UNIT: usize = 1024;

/// A resource, as it stands beside the agent.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) max_request_bytes: usize,
}

/// What an agent serves.
#[derive(Debug)]
pub(crate) struct Desk {
    places: HashMap<ResourceName, Place>,
    room: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn build(config: &AgentConfig, clock: &Arc<dyn Clock>) -> Result<Self, AgentError> {
        let place = |resource: &config::Resource| {
            let upstreams = Upstreams::build(resource, Arc::clone(clock)).map_err(|fault| {
                AgentError::Resource { name: resource.name.clone(), why: fault.to_string() }
            })?;
            let place = Place { upstreams, max_request_bytes: resource.max_request_bytes };
            Ok((resource.name.clone(), place))
        };
        let places = config.resources.iter().map(place).collect::<Result<_, AgentError>>()?;
        Ok(Self {
            places,
            room: Arc::new(Semaphore::new(config.requests_in_flight)),
            memory: Arc::new(Semaphore::new(config.body_bytes_in_flight.div_ceil(UNIT))),
        })
    }

    pub(crate) fn has(&self, resource: &ResourceName) -> bool {
        self.places.contains_key(resource)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.places.keys()
    }

    pub(crate) fn place(&self, resource: &ResourceName) -> Option<&Place> {
        self.places.get(resource)
    }

    /// Room for one request more, if there is.
    pub(crate) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Memory for a body of so many bytes, if there is.
    pub(crate) fn memory(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.memory).try_acquire_many_owned(units).ok()
    }
}
