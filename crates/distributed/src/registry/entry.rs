//! What a node says of itself.

use serde::{Deserialize, Serialize};

/// A node, as the others see it. Fields that a version does not know are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The name that its settings give it.
    pub id: String,
    /// One start of the node, and the part of its sessions' ids that names it.
    #[serde(skip)]
    pub tag: String,
    /// Where it takes requests of other nodes: `host:port`.
    pub address: String,
    /// The version of Lamplight.
    pub version: String,
}
