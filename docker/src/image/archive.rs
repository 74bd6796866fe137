//! Images as `docker load` takes them in: one layer of files, shared by any number of names.
//!
//! Nothing depends on when or where it is made (entries are sorted, times are 0), so the same
//! files give the same image, and an engine that has it needs no second copy.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::program::Files;

/// One name of an archive's layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) tag: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The files of an image as one layer: a tar with an empty `/tmp`.
pub(crate) fn layer(files: &Files) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    for path in files.keys() {
        folders.extend(path.ancestors().skip(1).filter_map(inside));
    }
    for folder in folders {
        tar.append(
            &header(folder, tar::EntryType::Directory, 0o755, 0)?,
            io::empty(),
        )?;
    }
    tar.append(
        &header("tmp", tar::EntryType::Directory, 0o1777, 0)?,
        io::empty(),
    )?;
    for (path, content) in files {
        let Some(path) = inside(path) else { continue };
        let header = header(path, tar::EntryType::Regular, 0o755, content.len())?;
        tar.append(&header, content.as_slice())?;
    }
    tar.into_inner()
}

/// The whole archive: the layer, and a configuration for each name.
pub(crate) fn archive(layer: &[u8], entrypoint: &str, names: &[Name]) -> io::Result<Vec<u8>> {
    let digest = hex(layer);
    let layer_file = format!("{digest}/layer.tar");
    let mut entries = BTreeMap::from([(layer_file.clone(), layer.to_vec())]);
    let mut manifest = Vec::new();
    for name in names {
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": [entrypoint],
                "Env": ["PATH=/"],
                "Labels": name.labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "keyquake"}],
        });
        let config = serde_json::to_vec(&config)?;
        let file = format!("{}.json", hex(&config));
        manifest.push(json!({"Config": file, "RepoTags": [name.tag], "Layers": [layer_file]}));
        entries.insert(file, config);
    }
    entries.insert("manifest.json".to_owned(), serde_json::to_vec(&manifest)?);
    let mut tar = tar::Builder::new(Vec::new());
    let folder = header(&digest, tar::EntryType::Directory, 0o755, 0)?;
    tar.append(&folder, io::empty())?;
    for (path, content) in &entries {
        let header = header(path, tar::EntryType::Regular, 0o644, content.len())?;
        tar.append(&header, content.as_slice())?;
    }
    tar.into_inner()
}

/// The digest of some bytes, in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn inside(path: &Path) -> Option<&Path> {
    path.strip_prefix("/")
        .ok()
        .filter(|path| !path.as_os_str().is_empty() && *path != Path::new("tmp"))
}

fn header(
    path: impl AsRef<Path>,
    kind: tar::EntryType,
    mode: u32,
    bytes: usize,
) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes as u64);
    header.set_cksum();
    Ok(header)
}

/// This machine's architecture in Docker's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_bytes_and_folders_come_first() {
        let files = Files::from([
            ("/lib64/ld.so".into(), b"loader".to_vec()),
            ("/app".into(), b"program".to_vec()),
        ]);
        let made = layer(&files).unwrap();
        assert_eq!(made, layer(&files).unwrap());
        let mut tar = tar::Archive::new(made.as_slice());
        let paths: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(paths, ["lib64", "tmp", "app", "lib64/ld.so"]);
    }
}
