//! Requests' arguments, looked over as elastickv does before anything else is asked.

use std::collections::BTreeSet;

use elastickv_wire::{
    BootstrapEncryptionRequest, RegisterEncryptionWriterRequest, RotateDekRequest,
    WriterRegistryEntry,
};
use tonic::Status;

use crate::bugs::{self, Bug};
use crate::encryption::{KeyEntry, Purpose, ROWS_MAX, WriterRow, node_id};

/// A wrapped key of more bytes is refused unseen.
const WRAPPED_MAX: usize = 4_096;

fn invalid<T>(text: impl Into<String>) -> Result<T, Status> {
    Err(Status::invalid_argument(format!(
        "encryption: {}",
        text.into()
    )))
}

fn epoch(local_epoch: u32) -> Result<u16, Status> {
    match u16::try_from(local_epoch) {
        Ok(epoch) => Ok(epoch),
        Err(_) if bugs::on(Bug::EpochTruncated) => Ok(local_epoch as u16),
        Err(_) => invalid(format!(
            "ErrLocalEpochOutOfRange: local_epoch={local_epoch} exceeds the §4.1 16-bit bound \
             (local_epoch exceeds 16-bit nonce field)"
        )),
    }
}

/// A proposer's id and epoch.
pub(super) fn proposer(full_node_id: u64, local_epoch: u32) -> Result<(u64, u16), Status> {
    if full_node_id == 0 {
        return invalid("proposer_node_id must be non-zero: full_node_id must be non-zero");
    }
    Ok((full_node_id, epoch(local_epoch)?))
}

fn writer(entry: &WriterRegistryEntry) -> Result<(u64, u16), Status> {
    if entry.full_node_id == 0 {
        return invalid("full_node_id must be non-zero");
    }
    Ok((entry.full_node_id, epoch(entry.local_epoch)?))
}

fn wrapped(what: &str, bytes: &[u8]) -> Result<(), Status> {
    if bytes.is_empty() {
        return invalid(format!("wrapped_{what}_dek is required"));
    }
    if bytes.len() > WRAPPED_MAX {
        return invalid(format!(
            "wrapped_{what}_dek of {} bytes exceeds the 4096-byte gRPC-boundary cap",
            bytes.len()
        ));
    }
    Ok(())
}

pub(super) fn bootstrap(request: BootstrapEncryptionRequest) -> Result<KeyEntry, Status> {
    let (storage, raft) = (request.storage_dek_id, request.raft_dek_id);
    for (what, id) in [("storage", storage), ("raft", raft)] {
        if id == 0 {
            return invalid(format!("{what}_dek_id must be non-zero"));
        }
    }
    if storage == raft {
        return invalid("storage_dek_id and raft_dek_id must differ");
    }
    wrapped("storage", &request.wrapped_storage_dek)?;
    wrapped("raft", &request.wrapped_raft_dek)?;
    if request.writer_batch.is_empty() {
        return invalid("writer_batch must contain at least one member");
    }
    let rows = request.writer_batch.len() * 2;
    if rows > ROWS_MAX {
        return invalid(format!(
            "writer_batch makes {rows} registry rows, exceeding the §4.1 bound of {ROWS_MAX}"
        ));
    }
    let (mut full, mut short) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = Vec::with_capacity(rows);
    for entry in &request.writer_batch {
        let (full_node_id, local_epoch) = writer(entry)?;
        if !full.insert(full_node_id) {
            return invalid(format!(
                "writer_batch has a duplicate full_node_id {full_node_id:#x}"
            ));
        }
        if !short.insert(node_id(full_node_id)) {
            return invalid(format!(
                "ErrNodeIDCollision: writer_batch has a 16-bit node_id collision at \
                 {full_node_id:#x}"
            ));
        }
        for dek_id in [storage, raft] {
            rows.push(WriterRow {
                dek_id,
                full_node_id,
                local_epoch,
            });
        }
    }
    Ok(KeyEntry::Bootstrap {
        storage: (storage, request.wrapped_storage_dek),
        raft: (raft, request.wrapped_raft_dek),
        rows,
    })
}

pub(super) fn rotate(request: &RotateDekRequest) -> Result<KeyEntry, Status> {
    let purpose = match request.purpose {
        1 => Purpose::Storage,
        2 => Purpose::Raft,
        _ => return invalid("purpose is unspecified; want storage or raft"),
    };
    if request.new_dek_id == 0 {
        return invalid("new_dek_id must be non-zero");
    }
    wrapped("new", &request.wrapped_new_dek)?;
    let (full_node_id, local_epoch) =
        proposer(request.proposer_node_id, request.proposer_local_epoch)?;
    Ok(KeyEntry::Rotate {
        purpose,
        wrapped: request.wrapped_new_dek.clone(),
        row: WriterRow {
            dek_id: request.new_dek_id,
            full_node_id,
            local_epoch,
        },
    })
}

pub(super) fn register(request: &RegisterEncryptionWriterRequest) -> Result<WriterRow, Status> {
    if request.dek_id == 0 {
        return invalid("dek_id must be non-zero");
    }
    let [only] = request.writers.as_slice() else {
        return invalid("register requires exactly one writer");
    };
    let (full_node_id, local_epoch) = writer(only)?;
    Ok(WriterRow {
        dek_id: request.dek_id,
        full_node_id,
        local_epoch,
    })
}
