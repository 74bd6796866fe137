//! Which program or image runs which release: the words given for it, and what nodes really
//! run, as the kernel or the engine shows it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use keyquake_cluster::{Cluster, NodeSpec, Running};
use keyquake_results::{RunInfo, digest_file};

/// What was given under one option: for single releases, and for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub by_release: BTreeMap<String, String>,
    pub other: Option<String>,
}

impl Given {
    /// Reads the words of an option that may be repeated: `6a=WHAT` or `WHAT`.
    pub fn read(option: &str, words: &[String]) -> anyhow::Result<Given> {
        let mut given = Given::default();
        for word in words {
            // A path or a name of an image may hold `=` itself, but not before a `/`.
            let split = word
                .split_once('=')
                .filter(|(release, _)| !release.contains('/'));
            let (what, before) = match split {
                Some((release, what)) => {
                    let release = release.to_ascii_lowercase();
                    (what, given.by_release.insert(release, what.to_owned()))
                }
                None => (word.as_str(), given.other.replace(word.clone())),
            };
            ensure!(
                !what.is_empty()
                    && before.is_none()
                    && split.is_none_or(|(name, _)| !name.is_empty()),
                "{option} {word} can't be used: give each release one (6a=…), or all others one"
            );
        }
        Ok(given)
    }
}

/// What each release of a run is, by digest: what a node runs is compared with it.
pub struct Expected {
    by_release: BTreeMap<String, String>,
    cluster: Arc<Cluster>,
}

impl Expected {
    /// As `run.json` says it.
    pub fn of(info: &RunInfo, cluster: Arc<Cluster>) -> Expected {
        let programs = info.binaries.iter().flat_map(|binary| {
            let releases = binary.releases.iter();
            releases.map(|release| (release.clone(), binary.digest.clone()))
        });
        let images = info.images.iter();
        let images = images.map(|image| (image.release.clone(), image.id.clone()));
        Expected {
            by_release: programs.chain(images).collect(),
            cluster,
        }
    }

    /// Looks at what a node runs; an error if that is not what stands for its release.
    pub async fn check(&self, node: &NodeSpec) -> Result<String, String> {
        let release = &node.release;
        let Some(expected) = self.by_release.get(release) else {
            return Err(format!("nobody noted what release {release} is"));
        };
        let unseen =
            |error: &dyn std::fmt::Display| format!("what {} runs can't be seen: {error}", node.id);
        let running = self.cluster.running(node.index).await;
        let (what, digest) = match running.map_err(|error| unseen(&error))? {
            Running::Program(path) => ("program", digest(path).await.map_err(|e| unseen(&e))?),
            Running::Image(id) => ("image", id),
        };
        if digest == *expected {
            Ok(format!("it runs the {what} {digest}"))
        } else {
            Err(format!(
                "it runs the {what} {digest}, and release {release} is {expected}"
            ))
        }
    }
}

/// Programs are big: they are read away from the async threads.
async fn digest(path: PathBuf) -> Result<String, String> {
    let read = tokio::task::spawn_blocking(move || digest_file(&path));
    let read = read.await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> anyhow::Result<Given> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        Given::read("--binary", &words)
    }

    #[test]
    fn one_for_a_release_and_one_for_the_rest() {
        let given = read(&["6A=/x", "6b=name:tag", "./a=b"]).unwrap();
        let named = [("6a", "/x"), ("6b", "name:tag")];
        let named = named.map(|(release, what)| (release.to_owned(), what.to_owned()));
        assert_eq!(given.by_release, named.into());
        assert_eq!(given.other.as_deref(), Some("./a=b"));
        for wrong in [
            &["6a=/x", "6a=/y"][..],
            &["/x", "/y"],
            &["6a="],
            &["=x"],
            &[""],
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("can't be used"), "{error}");
        }
    }
}
