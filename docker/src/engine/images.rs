//! Images: looked at, loaded, removed. None is ever pulled.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{ImportImageOptions, ListImagesOptions, RemoveImageOptions};
use futures_util::TryStreamExt;
use jiff::Timestamp;

use super::{Engine, refused, status};
use crate::error::DockerError;

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageFacts {
    pub(crate) id: String,
    /// What registries know it as (`name@sha256:…`); none if it never was in one.
    pub(crate) digests: Vec<String>,
    /// Its entrypoint and command.
    pub(crate) command: Vec<String>,
}

impl Engine {
    /// An image by name or id, if the engine has it.
    pub(crate) async fn image(&self, name: &str) -> Result<Option<ImageFacts>, DockerError> {
        match self.docker.inspect_image(name).await {
            Ok(answer) => {
                let config = answer.config.unwrap_or_default();
                let mut command = config.entrypoint.unwrap_or_default();
                command.extend(config.cmd.unwrap_or_default());
                Ok(Some(ImageFacts {
                    id: answer.id.unwrap_or_default(),
                    digests: answer.repo_digests.unwrap_or_default(),
                    command,
                }))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(refused(|| format!("look for the image {name}"))(error)),
        }
    }

    /// Takes in an archive as `docker save` writes it.
    pub(crate) async fn load(&self, archive: Vec<u8>) -> Result<(), DockerError> {
        let options = ImportImageOptions {
            quiet: true,
            ..Default::default()
        };
        let body = bollard::body_full(archive.into());
        let answers = self.docker.import_image(options, body, None);
        let done = answers.try_for_each(|_| async { Ok(()) }).await;
        done.map_err(refused(|| "load an image".into()))
    }

    /// All images that have a label: id, tags, and the label's value.
    pub(crate) async fn images_with(
        &self,
        label: &str,
    ) -> Result<Vec<(String, Vec<String>, String)>, DockerError> {
        let options = ListImagesOptions {
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![label.to_owned()],
            )])),
            ..Default::default()
        };
        let found = self.docker.list_images(Some(options)).await;
        let found = found.map_err(refused(|| "list the images".into()))?;
        Ok(found
            .into_iter()
            .map(|image| {
                let value = image.labels.get(label).cloned().unwrap_or_default();
                (image.id, image.repo_tags, value)
            })
            .collect())
    }

    /// How long ago an image got its latest name; `None` where the engine doesn't say.
    pub(crate) async fn tagged_ago(&self, name: &str) -> Result<Option<Duration>, DockerError> {
        let answer = self.docker.inspect_image(name).await;
        let answer = answer.map_err(refused(|| format!("look at the image {name}")))?;
        let time = answer.metadata.and_then(|metadata| metadata.last_tag_time);
        let time = time.and_then(|time| time.parse::<Timestamp>().ok());
        // An engine that doesn't know gives the year 1.
        Ok(time
            .filter(|time| *time > Timestamp::UNIX_EPOCH)
            .and_then(|time| Timestamp::now().duration_since(time).try_into().ok()))
    }

    /// Takes a name from an image, and the image away with its last one. Nothing happens to one
    /// that a container uses.
    pub(crate) async fn untag(&self, name: &str) -> Result<(), DockerError> {
        let options = RemoveImageOptions::default();
        match self.docker.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(refused(|| format!("remove the image {name}"))(error)),
        }
    }
}
