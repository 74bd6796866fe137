//! Where the suite itself stands: on the engine's machine, or in a container of the engine.

use std::fs;

use crate::engine::Engine;
use crate::error::DockerError;

/// The id of the container that this process runs in, if it has a network of its own and so
/// must be given a place on the nodes' one. On the machine itself every node can be reached.
pub(crate) async fn own_container(engine: &Engine) -> Result<Option<String>, DockerError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for id in candidates(&mounts, &groups) {
        match engine.network_mode(&id).await? {
            Some(mode) if mode != "host" => return Ok(Some(id)),
            Some(_) => return Ok(None),
            // Of another engine.
            None => {}
        }
    }
    Ok(None)
}

impl Engine {
    /// Whether this process runs in a container of this engine. What it mounts is not seen by
    /// the engine then.
    ///
    /// # Errors
    /// When the engine doesn't answer.
    pub async fn holds_suite(&self) -> Result<bool, DockerError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for id in candidates(&mounts, "") {
            if self.network_mode(&id).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Ids of containers that this process may be in. The engine mounts three small files into each
/// container, whose folder has the id for its name; cgroups may be named by it too.
fn candidates(mounts: &str, groups: &str) -> Vec<String> {
    const OWN_FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    let sources = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, target) = (fields.next()?, fields.next()?);
        OWN_FILES.contains(&target).then_some(root)
    });
    let mut ids: Vec<String> = Vec::new();
    for text in sources.chain(groups.lines()) {
        let parts = text.split(|letter: char| !letter.is_ascii_hexdigit());
        for id in parts.filter(|part| part.len() == 64) {
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_knows_its_id_and_the_machine_has_none() {
        let id = "0123456789abcdef".repeat(4);
        let inside = format!(
            "612 590 254:0 /var/lib/docker/containers/{id}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n"
        );
        assert_eq!(candidates(&inside, "0::/\n").concat(), id);
        assert_eq!(
            candidates("", &format!("3:cpu:/docker/{id}\n")).concat(),
            id
        );
        // The machine sees mounts of all its containers.
        let machine =
            format!("99 26 0:44 / /var/lib/docker/containers/{id}/mounts/shm rw - tmpfs shm rw\n");
        assert!(candidates(&machine, "0::/init.scope\n").is_empty());
    }
}
