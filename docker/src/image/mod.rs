//! Which image runs which release: the suite's own, made from nothing, or the user's.

mod archive;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::Name;
pub(crate) use program::{APP, OWN};

use crate::engine::{Engine, ImageFacts};
use crate::error::{DockerError, io};
use crate::labels::CONTENT;

/// The images of the suite itself: the agents', and one for each release of its own store.
const OWN_NAME: &str = "keyquake";
/// Images of single programs of the user's.
const PROGRAM_NAME: &str = "keyquake-program";
/// The release that an image of ours is for.
const RELEASE: &str = "keyquake.release";
/// Images of another content that got their name longer ago than this, and that no container
/// uses, are removed.
const KEPT: Duration = Duration::from_secs(600);

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An image that the engine has, by its name.
    Named(String),
    /// A static program, which an image is made of.
    Program(PathBuf),
}

/// Which images are asked for, by release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The releases that got one of their own.
    pub by_release: BTreeMap<String, Source>,
    /// What all others run.
    pub other: Option<Source>,
    /// Releases of the store inside this executable: they need no image of the user's.
    pub built_in: Vec<String>,
}

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name, as given or made.
    pub name: String,
    /// Its id (`sha256:…`).
    pub id: String,
    /// What registries know it as; none if it never was in one.
    pub digests: Vec<String>,
    /// The program that is started in it.
    pub program: String,
}

/// All images of a run; they are there.
#[derive(Clone, Debug)]
pub struct Images {
    by_release: BTreeMap<String, Image>,
    other: Option<Image>,
    pub(crate) agent: Image,
    /// The digest of what the suite's own images hold.
    pub(crate) content: String,
}

impl Images {
    /// Looks up the user's images and makes those of the suite, unless the engine has them.
    ///
    /// # Errors
    /// When one is missing, or can't be made.
    pub async fn prepare(engine: &Engine, wanted: &Wanted) -> Result<Self, DockerError> {
        let mut by_release = BTreeMap::new();
        for (release, source) in &wanted.by_release {
            by_release.insert(release.clone(), find(engine, source).await?);
        }
        let other = match &wanted.other {
            Some(source) => Some(find(engine, source).await?),
            None => None,
        };
        let own = Own::read().await?;
        let built_in: &[String] = if other.is_some() {
            &[]
        } else {
            &wanted.built_in
        };
        own.load(engine, built_in).await?;
        for release in built_in {
            if !by_release.contains_key(release) {
                by_release.insert(release.clone(), own.image(engine, Some(release)).await?);
            }
        }
        Ok(Self {
            by_release,
            other,
            agent: own.image(engine, None).await?,
            content: own.content,
        })
    }

    /// The image that runs a release.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(&self, release: &str) -> Result<&Image, DockerError> {
        let named = self
            .by_release
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(release));
        named
            .map(|(_, image)| image)
            .or(self.other.as_ref())
            .ok_or_else(|| DockerError::NoImageForRelease(release.to_owned()))
    }
}

impl Images {
    /// Takes the names of the suite's own images away, and so the images. Another run makes
    /// them again.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn forget(&self, engine: &Engine) -> Result<(), DockerError> {
        for (_, tags, content) in engine.images_with(CONTENT).await? {
            for tag in tags.iter().filter(|_| content == self.content) {
                engine.untag(tag).await?;
            }
        }
        Ok(())
    }
}

impl Image {
    /// Takes its name away, and the image if that was its last and nobody uses it.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn forget(&self, engine: &Engine) -> Result<(), DockerError> {
        engine.untag(&self.name).await
    }
}

/// An image of the user's.
async fn find(engine: &Engine, source: &Source) -> Result<Image, DockerError> {
    match source {
        Source::Named(name) => {
            let facts = engine.image(name).await?;
            let facts = facts.ok_or_else(|| DockerError::NoImage(name.clone()))?;
            Ok(image(name, facts))
        }
        Source::Program(path) => of_program(engine, path).await,
    }
}

/// An empty image with one static program in it.
async fn of_program(engine: &Engine, path: &Path) -> Result<Image, DockerError> {
    let path = path.to_owned();
    let layer = blocking(move || {
        let files = program::alone(&path)?;
        archive::layer(&files).map_err(io(|| "make an image".into()))
    })
    .await?;
    let content = archive::hex(&layer);
    let tag = format!("{PROGRAM_NAME}:{}", short(&content));
    if let Some(facts) = engine.image(&tag).await? {
        return Ok(image(&tag, facts));
    }
    let name = Name {
        labels: BTreeMap::from([(CONTENT.to_owned(), content)]),
        tag: tag.clone(),
    };
    load(engine, layer, APP, vec![name]).await?;
    loaded(engine, &tag).await
}

/// What the suite's own images are made of.
struct Own {
    layer: Vec<u8>,
    content: String,
}

impl Own {
    async fn read() -> Result<Self, DockerError> {
        blocking(|| {
            let files = program::own()?;
            let layer = archive::layer(&files).map_err(io(|| "make an image".into()))?;
            let content = archive::hex(&layer);
            Ok(Self { layer, content })
        })
        .await
    }

    fn tag(&self, release: Option<&str>) -> String {
        let content = short(&self.content);
        match release {
            Some(release) => format!("{OWN_NAME}:{release}-{content}"),
            None => format!("{OWN_NAME}:{content}"),
        }
    }

    fn name(&self, release: Option<&str>) -> Name {
        let mut labels = BTreeMap::from([(CONTENT.to_owned(), self.content.clone())]);
        if let Some(release) = release {
            labels.insert(RELEASE.to_owned(), release.to_owned());
        }
        Name {
            tag: self.tag(release),
            labels,
        }
    }

    /// Makes what the engine doesn't have yet, and removes what nobody needs any more.
    async fn load(&self, engine: &Engine, releases: &[String]) -> Result<(), DockerError> {
        let all = std::iter::once(None).chain(releases.iter().map(|name| Some(name.as_str())));
        let mut missing = Vec::new();
        for release in all {
            if engine.image(&self.tag(release)).await?.is_none() {
                missing.push(self.name(release));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        load(engine, self.layer.clone(), OWN, missing).await?;
        self.tidy(engine).await
    }

    async fn image(&self, engine: &Engine, release: Option<&str>) -> Result<Image, DockerError> {
        loaded(engine, &self.tag(release)).await
    }

    /// Removes images of earlier builds.
    async fn tidy(&self, engine: &Engine) -> Result<(), DockerError> {
        for (_, tags, content) in engine.images_with(CONTENT).await? {
            let ours = tags
                .iter()
                .any(|tag| tag.starts_with(&format!("{OWN_NAME}:")));
            if !ours || content == self.content {
                continue;
            }
            // Another suite of another build may be about to use, or to roll to, one of these.
            if !engine.containers(CONTENT, &content).await?.is_empty() {
                continue;
            }
            for tag in tags {
                let age = engine.tagged_ago(&tag).await.unwrap_or(None);
                if age.is_some_and(|age| age > KEPT) {
                    engine.untag(&tag).await?;
                }
            }
        }
        Ok(())
    }
}

async fn load(
    engine: &Engine,
    layer: Vec<u8>,
    entrypoint: &'static str,
    names: Vec<Name>,
) -> Result<(), DockerError> {
    let archive = blocking(move || {
        archive::archive(&layer, entrypoint, &names).map_err(io(|| "make an image".into()))
    })
    .await?;
    engine.load(archive).await
}

async fn loaded(engine: &Engine, tag: &str) -> Result<Image, DockerError> {
    let facts = engine.image(tag).await?;
    let facts = facts.ok_or_else(|| DockerError::NoImage(tag.to_owned()))?;
    Ok(image(tag, facts))
}

fn image(name: &str, facts: ImageFacts) -> Image {
    Image {
        name: name.to_owned(),
        program: facts
            .command
            .into_iter()
            .next()
            .unwrap_or_else(|| APP.to_owned()),
        id: facts.id,
        digests: facts.digests,
    }
}

/// Enough of a digest for a tag.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Big files are read and hashed away from the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DockerError> + Send + 'static,
) -> Result<T, DockerError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| DockerError::Ending)?
}
