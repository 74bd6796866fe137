//! Who to ask, and what has to be known before something is proposed.
//!
//! A store may take a request that none of its replicas can apply, and halt. So whatever can
//! be seen beforehand is looked at here, and refused before it is sent.

use futures_util::future::join_all;
use thiserror::Error;

use super::compose::new_id;
use super::{
    AdminClient, Answer, Bootstrap, Dek, Kek, KeyError, Member, NotAccepted, Proposer, Purpose,
    RaftView, Refusal, Rotation, SidecarStateReport, WrappedDek, collisions, full_node_id,
};

/// Why a change of keys was not carried out.
#[derive(Debug, Error)]
pub enum NotDone {
    /// The store said no, or nothing, or too little.
    #[error(transparent)]
    Store(#[from] NotAccepted),
    /// Refused here, by name, before anything was sent.
    #[error("refused ({name}): {text}; nothing was sent")]
    Unsent {
        /// The name that scripts may rely on.
        name: &'static str,
        /// Why.
        text: String,
    },
    /// A key could not be made, wrapped or opened.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A release that keeps its epochs to itself.
    #[error(
        "the leader does not say its epoch under key {key}; read local_epoch in its sidecar and \
         give it with --proposer-epoch"
    )]
    EpochUnknown {
        /// The key.
        key: u32,
    },
}

fn unsent(name: &'static str, text: String) -> NotDone {
    NotDone::Unsent { name, text }
}

/// The leader, as it was a moment ago.
pub struct Leader {
    /// Speaks to it.
    pub client: AdminClient,
    /// Everybody in the cluster, as it knows them.
    pub members: Vec<Member>,
    /// Its 64-bit id.
    pub full_node_id: u64,
    /// Its keys; `None` if it has no sidecar to speak of.
    pub state: Option<SidecarStateReport>,
}

/// What a bootstrap made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrapped {
    /// Id of the storage key.
    pub storage: u32,
    /// Id of the raft key.
    pub raft: u32,
    /// How many members were registered.
    pub writers: usize,
    /// The log index.
    pub index: u64,
}

/// What a cutover did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// The log index of the cutover, also if it was long ago.
    pub index: u64,
    /// Whether it was in force before.
    pub already: bool,
}

/// What a rotation made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Id of the new key.
    pub key: u32,
    /// The log index.
    pub index: u64,
}

impl Leader {
    /// Finds the node that leads among these.
    ///
    /// # Errors
    /// [`NotDone`]; nobody leads is `not-leader`.
    pub async fn find(clients: &[AdminClient]) -> Result<Leader, NotDone> {
        let views = join_all(clients.iter().map(AdminClient::raft_view)).await;
        let leaders = clients.iter().zip(&views).filter_map(|(client, view)| {
            let view = view.as_ref().ok().filter(|view| view.leads)?;
            Some((client, view))
        });
        let Some((client, view)) = leaders.max_by_key(|(_, view)| view.term) else {
            return Err(nobody_leads(views));
        };
        let members = client.members().await?;
        let own = full_node_id(&view.leader_id);
        let state = match client.sidecar_state().await {
            Ok(state) => Some(state),
            Err(NotAccepted::Refused {
                refusal: Refusal::SidecarMissing | Refusal::SidecarPathNotConfigured,
                ..
            }) => None,
            Err(other) => return Err(other.into()),
        };
        Ok(Leader {
            client: client.clone(),
            members,
            full_node_id: own,
            state,
        })
    }

    /// The id of the active key; 0 if there is none.
    pub fn active(&self, purpose: Purpose) -> u32 {
        self.state.as_ref().map_or(0, |state| match purpose {
            Purpose::Storage => state.active_storage_id,
            Purpose::Raft => state.active_raft_id,
        })
    }

    /// The leader as proposer, with the epoch it has registered under the active key, or a
    /// later one that is given.
    ///
    /// # Errors
    /// When the epoch given is behind, or none is known.
    pub fn proposer(&self, purpose: Purpose, given: Option<u16>) -> Result<Proposer, NotDone> {
        let id = self.active(purpose);
        let registered = self
            .state
            .as_ref()
            .and_then(|state| state.writer_registry_for_caller.get(&id).copied());
        let local_epoch = match (given, registered) {
            (Some(given), Some(registered)) if u32::from(given) < registered => {
                let text = format!(
                    "epoch {given} is behind epoch {registered} that the leader registered"
                );
                return Err(unsent(Refusal::EpochBehindRegistry.name(), text));
            }
            (Some(given), _) => given.into(),
            (None, Some(registered)) => registered,
            // Without keys nothing is registered, and the store refuses by itself.
            (None, None) if id == 0 => 0,
            (None, None) => return Err(NotDone::EpochUnknown { key: id }),
        };
        Ok(Proposer {
            full_node_id: self.full_node_id,
            local_epoch,
        })
    }

    /// Makes the first two keys and registers every member.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn bootstrap(&self, kek: &Kek) -> Result<Bootstrapped, NotDone> {
        let active = self.active(Purpose::Storage);
        if active != 0 {
            let text = format!("the cluster has keys; the storage key is {active}");
            return Err(unsent(Refusal::AlreadyBootstrapped.name(), text));
        }
        self.check_collisions(None)?;
        let storage = (new_id(&[0])?, kek.wrap(&Dek::generate()?)?);
        let raft = (new_id(&[0, storage.0])?, kek.wrap(&Dek::generate()?)?);
        let writer = |member: &Member| Proposer {
            full_node_id: full_node_id(&member.id),
            local_epoch: 0,
        };
        let request = Bootstrap {
            storage,
            raft,
            writers: self.members.iter().map(writer).collect(),
        };
        let index = self.client.bootstrap(&request).await?;
        Ok(Bootstrapped {
            storage: storage.0,
            raft: raft.0,
            writers: request.writers.len(),
            index,
        })
    }

    /// Phase 1.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn enable_storage_envelope(&self, epoch: Option<u16>) -> Result<Enabled, NotDone> {
        let proposer = self.proposer(Purpose::Storage, epoch)?;
        let answer = self.client.enable_storage_envelope(proposer).await?;
        Ok(Enabled {
            index: answer.applied_index,
            already: answer.was_already_active,
        })
    }

    /// Phase 2.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn enable_raft_envelope(&self, epoch: Option<u16>) -> Result<Enabled, NotDone> {
        let proposer = self.proposer(Purpose::Raft, epoch)?;
        let answer = self.client.enable_raft_envelope(proposer).await?;
        Ok(Enabled {
            index: answer.applied_index,
            already: answer.was_already_active,
        })
    }

    /// Makes a new key and lets it take the active one's place.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn rotate(
        &self,
        kek: &Kek,
        purpose: Purpose,
        epoch: Option<u16>,
    ) -> Result<Rotated, NotDone> {
        let mut used = vec![0];
        if let Some(state) = &self.state {
            let active = self.active(purpose);
            let Some(wrapped) = state.wrapped_deks_by_id.get(&active) else {
                let text = format!("the cluster has no {purpose} key to replace");
                return Err(unsent(Refusal::NotBootstrapped.name(), text));
            };
            let opens = WrappedDek::try_from(&wrapped[..]).and_then(|key| kek.unwrap(&key));
            if let Err(error) = opens {
                return Err(unsent(
                    Refusal::KekMismatch.name(),
                    format!("key {active}: {error}"),
                ));
            }
            used.extend(state.wrapped_deks_by_id.keys());
        }
        let rotation = Rotation {
            purpose,
            id: new_id(&used)?,
            wrapped: kek.wrap(&Dek::generate()?)?,
            proposer: self.proposer(purpose, epoch)?,
        };
        let index = self.client.rotate_dek(&rotation).await?;
        Ok(Rotated {
            key: rotation.id,
            index,
        })
    }

    /// Registers a node under a key. Returns the log index.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn register(&self, key: u32, raft_id: &str, epoch: u16) -> Result<u64, NotDone> {
        let id = full_node_id(raft_id);
        self.check_collisions(Some(raft_id))?;
        if self.state.is_some() {
            let known = self.client.resync_sidecar(id).await?;
            let registered = known.writer_registry_for_caller.get(&key).copied();
            if registered.is_some_and(|last| u32::from(epoch) < last) {
                let text = format!("epoch {epoch} is behind what is registered for {raft_id}");
                return Err(unsent(Refusal::EpochBehindRegistry.name(), text));
            }
            if !known.wrapped_deks_by_id.contains_key(&key) {
                return Err(unsent(
                    "key-unknown",
                    format!("the cluster has no key {key}"),
                ));
            }
        }
        let writer = Proposer {
            full_node_id: id,
            local_epoch: epoch.into(),
        };
        Ok(self.client.register_writer(key, writer).await?)
    }

    /// Members, and one more, that would share nonces.
    fn check_collisions(&self, newcomer: Option<&str>) -> Result<(), NotDone> {
        let members = self.members.iter().map(|member| member.id.as_str());
        match collisions(members.chain(newcomer)).first() {
            None => Ok(()),
            Some(twins) => {
                let (one, two) = &twins.raft_ids;
                let text = format!("{one} and {two} share the node id {:#06x}", twins.node_id);
                Err(unsent(Refusal::NodeIdCollision.name(), text))
            }
        }
    }
}

fn nobody_leads(views: Vec<Answer<RaftView>>) -> NotDone {
    let known = views
        .iter()
        .flatten()
        .find(|view| !view.leader_id.is_empty());
    if let Some(view) = known {
        let text = format!(
            "none of the endpoints leads; the leader is {} at {}",
            view.leader_id, view.leader_address
        );
        return unsent(Refusal::NotLeader.name(), text);
    }
    match views.into_iter().find_map(Result::err) {
        Some(error) => error.into(),
        None => unsent(
            Refusal::NotLeader.name(),
            "none of the endpoints leads, and none knows who does".to_owned(),
        ),
    }
}
