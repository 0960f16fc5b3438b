//! Requests between the nodes of a cluster: how a node proves itself to another one.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use lamplight_distributed::registry::NodeRegistry;
use socketio::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The secret of the cluster. Requests without it are not trusted.
const PROOF: HeaderName = HeaderName::from_static("x-lamplight-node");
/// The address of the client that the request is of, as the first node knew it.
const CLIENT: HeaderName = HeaderName::from_static("x-lamplight-client");

/// The other nodes, as the transport needs them.
#[derive(Clone)]
pub struct ClusterNodes(Arc<NodeRegistry>);

impl ClusterNodes {
    #[must_use]
    pub fn new(registry: Arc<NodeRegistry>) -> Self {
        Self(registry)
    }

    /// The tag that names this node in the ids of its sessions.
    #[must_use]
    pub fn tag(&self) -> Option<socketio::NodeTag> {
        socketio::NodeTag::new(self.0.tag())
    }
}

impl socketio::Nodes for ClusterNodes {
    fn find<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Option<String>> {
        Box::pin(self.0.find(tag))
    }

    fn sign(&self, headers: &mut HeaderMap, client: SocketAddr) {
        headers.remove(&PROOF);
        headers.remove(&CLIENT);
        let secret = self.0.secret();
        let proof = secret.and_then(|secret| HeaderValue::from_str(&secret).ok());
        let client = HeaderValue::from_str(&client.to_string());
        if let (Some(mut proof), Ok(client)) = (proof, client) {
            proof.set_sensitive(true);
            headers.insert(PROOF, proof);
            headers.insert(CLIENT, client);
        }
    }

    fn verify(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        let proof = headers.get(&PROOF)?.as_bytes();
        let is_node = self
            .0
            .any_secret(|secret| bool::from(secret.as_bytes().ct_eq(proof)));
        if !is_node {
            return None;
        }
        headers.get(&CLIENT)?.to_str().ok()?.parse().ok()
    }
}
