//! Networks: made, found, joined, removed.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;

use super::containers::{endpoint, labelled};
use super::{Engine, refused, status};
use crate::error::DockerError;

impl Engine {
    /// Makes a bridge of 256 addresses.
    pub(crate) async fn create_network(
        &self,
        name: &str,
        subnet: Ipv4Addr,
        gateway: Ipv4Addr,
        labels: HashMap<String, String>,
    ) -> Result<(), DockerError> {
        let config = IpamConfig {
            subnet: Some(format!("{subnet}/24")),
            gateway: Some(gateway.to_string()),
            ..Default::default()
        };
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".into()),
            ipam: Some(Ipam {
                config: Some(vec![config]),
                ..Default::default()
            }),
            labels: Some(labels),
            ..Default::default()
        };
        let made = self.docker.create_network(request).await;
        made.map(drop)
            .map_err(refused(|| format!("make the network {subnet}/24")))
    }

    /// Removes a network; no harm if it is gone.
    pub(crate) async fn remove_network(&self, name: &str) -> Result<(), DockerError> {
        match self.docker.remove_network(name).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(refused(|| format!("remove the network {name}"))(error)),
        }
    }

    /// All networks with a label: id and name.
    pub(crate) async fn networks(
        &self,
        label: &str,
        value: &str,
    ) -> Result<Vec<(String, String)>, DockerError> {
        let options = ListNetworksOptions {
            filters: Some(labelled(label, value)),
        };
        let found = self.docker.list_networks(Some(options)).await;
        let found = found.map_err(refused(|| "list the networks".into()))?;
        Ok(found
            .into_iter()
            .filter_map(|network| Some((network.id?, network.name?)))
            .collect())
    }

    /// What all networks of the engine have for themselves (`172.17.0.0/16`).
    pub(crate) async fn subnets(&self) -> Result<Vec<String>, DockerError> {
        let found = self.docker.list_networks(None).await;
        let found = found.map_err(refused(|| "list the networks".into()))?;
        Ok(found
            .into_iter()
            .flat_map(|network| {
                network
                    .ipam
                    .and_then(|ipam| ipam.config)
                    .unwrap_or_default()
            })
            .filter_map(|config| config.subnet)
            .collect())
    }

    /// The containers on a network, by id.
    pub(crate) async fn guests(&self, network: &str) -> Result<Vec<String>, DockerError> {
        match self.docker.inspect_network(network, None).await {
            Ok(answer) => Ok(answer.containers.unwrap_or_default().into_keys().collect()),
            Err(error) if status(&error) == Some(404) => Ok(Vec::new()),
            Err(error) => Err(refused(|| format!("look at the network {network}"))(error)),
        }
    }

    /// Gives a running container a place on one more network.
    pub(crate) async fn connect(
        &self,
        network: &str,
        container: &str,
        ip: Ipv4Addr,
    ) -> Result<(), DockerError> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(endpoint(ip)),
        };
        let connected = self.docker.connect_network(network, request).await;
        connected.map_err(refused(|| format!("connect {container} to {network}")))
    }

    /// Takes a container off a network; no harm if it isn't there.
    pub(crate) async fn disconnect(
        &self,
        network: &str,
        container: &str,
    ) -> Result<(), DockerError> {
        let request = bollard::models::NetworkDisconnectRequest {
            container: container.to_owned(),
            force: Some(true),
        };
        match self.docker.disconnect_network(network, request).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(()),
            Err(error) => Err(refused(|| format!("disconnect {container} from {network}"))(error)),
        }
    }
}
