//! A run's containers: the engine, the images, and everything that is made of them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use keyquake_cluster::journal::Journal;
use keyquake_cluster::{Network, NetworkKind, NodeSpec, Runtime};
use keyquake_docker::{Containers, DockerError, Engine, Images, RunOf, Source, Wanted};
use keyquake_node::release::Release;
use keyquake_results::ImageInfo;
use keyquake_systems::SystemName;

use crate::cli::RunArgs;
use crate::exit::{Failure, input};
use crate::plan::Plan;
use crate::wiring::Given;

/// The network of a run on Docker before its addresses are chosen: what it can do is known.
pub fn network() -> NetworkKind {
    NetworkKind::Container {
        subnet: Ipv4Addr::UNSPECIFIED,
    }
}

/// An engine that fits, and all images of the plan.
pub struct Docker {
    engine: Engine,
    images: Images,
    subnet: Ipv4Addr,
    run: Option<(RunOf, Containers)>,
}

impl Docker {
    /// Finds the engine and makes what images are missing. Nothing of the run is made yet.
    pub async fn prepare(plan: &Plan, args: &RunArgs) -> Result<Docker, Failure> {
        let wanted = wanted(plan, args)?;
        let engine = Engine::find().await?;
        if plan.cluster.disk.is_some() && engine.holds_suite().await? {
            return Err(input(anyhow!(
                "disks of the nodes must be mounted where the engine sees them, and this suite runs in a container of it: \
                 run it on the engine's machine, or leave `disk` and full-disk out of the plan"
            )));
        }
        let images = Images::prepare(&engine, &wanted).await.map_err(classed)?;
        let subnet = engine.free_subnet().await?;
        Ok(Docker {
            engine,
            images,
            subnet,
            run: None,
        })
    }

    /// The network that the nodes will have.
    pub fn kind(&self) -> NetworkKind {
        NetworkKind::Container {
            subnet: self.subnet,
        }
    }

    /// The images of all that nodes are started as, one for each release.
    pub fn images_of(&self, specs: &[NodeSpec]) -> Result<Vec<ImageInfo>, Failure> {
        let mut releases: Vec<_> = specs.iter().map(|spec| spec.release.as_str()).collect();
        releases.sort_unstable();
        releases.dedup();
        let info = |release: &str| {
            let image = self.images.of(release).map_err(classed)?;
            Ok(ImageInfo {
                release: release.to_owned(),
                name: image.name.clone(),
                id: image.id.clone(),
                digests: image.digests.clone(),
            })
        };
        releases.into_iter().map(info).collect()
    }

    /// Names the run. Still nothing is made.
    pub fn begin(
        &mut self,
        id: &str,
        folder: &Path,
        nodes: u16,
        journal: &Arc<Journal>,
        begun: Instant,
    ) {
        let run = RunOf {
            id: id.to_owned(),
            folder: folder.to_owned(),
            nodes,
            subnet: self.subnet,
            begun,
        };
        let containers = Containers::of(self.engine.clone(), &run, journal.clone());
        self.run = Some((run, containers));
    }

    /// Makes the network and what holds it.
    pub async fn raise(&self) -> anyhow::Result<(Arc<dyn Runtime>, Arc<Network>)> {
        let (run, containers) = self
            .run
            .as_ref()
            .ok_or_else(|| anyhow!("the run has no name yet"))?;
        let made = containers.raise(self.images.clone(), run).await?;
        Ok((made.runtime, made.network))
    }

    /// Removes everything of the run, whatever there is by now.
    pub async fn clear(&self) -> Result<(), DockerError> {
        match &self.run {
            Some((_, containers)) => containers.clear().await,
            None => Ok(()),
        }
    }
}

/// An image that isn't there is the user's to mend; the rest is ours.
fn classed(error: DockerError) -> Failure {
    if error.is_input() {
        input(error)
    } else {
        Failure::Suite(error.into())
    }
}

/// Which images the words ask for.
fn wanted(plan: &Plan, args: &RunArgs) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::default();
    if plan.cluster.system == SystemName::Reference {
        wanted.built_in = Release::ALL.map(|release| release.name().to_owned()).into();
    }
    let images = Given::read("--image", &args.programs.image).map_err(input)?;
    let programs = Given::read("--binary", &args.programs.binary).map_err(input)?;
    let sources = [
        (images, Source::Named as fn(String) -> Source),
        (programs, |path| Source::Program(path.into())),
    ];
    let mut twice = None;
    for (given, source) in sources {
        for (release, what) in given.by_release {
            let before = wanted.by_release.insert(release.clone(), source(what));
            twice = twice.or(before.map(|_| format!("release {release}")));
        }
        if let Some(what) = given.other {
            let before = wanted.other.replace(source(what));
            twice = twice.or(before.map(|_| "all other releases".to_owned()));
        }
    }
    match twice {
        Some(whose) => Err(input(anyhow!(
            "--image and --binary both say what runs {whose}; leave one of them out"
        ))),
        None => Ok(wanted),
    }
}
