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
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// As the agent's file has it.
    resource: config::Resource,
    pub(crate) upstreams: Arc<Upstreams>,
}

impl Place {
    fn build(resource: &config::Resource, clock: &Arc<dyn Clock>) -> Result<Self, AgentError> {
        let upstreams = Upstreams::build(resource, Arc::clone(clock))
            .map_err(|fault| AgentError::Resource { name: resource.name.clone(), why: fault.to_string() })?;
        Ok(Self { resource: resource.clone(), upstreams })
    }

    /// The largest request it takes, in bytes.
    pub(crate) fn max_request_bytes(&self) -> usize {
        self.resource.max_request_bytes
    }
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
        let room = Arc::new(Semaphore::new(config.requests_in_flight));
        let memory = Arc::new(Semaphore::new(config.body_bytes_in_flight.div_ceil(UNIT)));
        Self { places: HashMap::new(), room, memory }.after(config, clock)
    }

    /// What is served once the file says `config`. What it says as before keeps its connections and its credential;
    /// room and memory stay as they are.
    pub(crate) fn after(&self, config: &AgentConfig, clock: &Arc<dyn Clock>) -> Result<Self, AgentError> {
        let place = |resource: &config::Resource| {
            let before = self.places.get(&resource.name).filter(|place| place.resource == *resource);
            let place = match before {
                Some(place) => place.clone(),
                None => Place::build(resource, clock)?,
            };
            Ok((resource.name.clone(), place))
        };
        let places = config.resources.iter().map(place).collect::<Result<_, AgentError>>()?;
        Ok(Self { places, room: Arc::clone(&self.room), memory: Arc::clone(&self.memory) })
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
