//! A node's entry in the registry.

use serde::{Deserialize, Serialize};

/// A node, as the others see it. Fields that a version does not know are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The name that its settings give it.
    pub id: String,
    /// The tag of one start of the node, the prefix of its sessions' ids.
    #[serde(skip)]
    pub tag: String,
    /// Where it takes requests of other nodes: `host:port`.
    pub address: String,
    /// The version of Lamplight.
    pub version: String,
}
