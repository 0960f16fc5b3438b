//! The dynamic namespaces in use.

use std::{collections::HashMap, sync::Weak};

use super::AnyNamespace;
use crate::sync::Mutex;

/// The dynamic namespaces in use. Sockets, pending CONNECTs, and connections whose client may not
/// yet know that it was disconnected hold the strong references; a namespace removes itself when
/// the last one is dropped.
#[derive(Default)]
pub(crate) struct ChildNamespaces(pub(super) Mutex<HashMap<Box<str>, Weak<dyn AnyNamespace>>>);

impl ChildNamespaces {
    /// Removes the namespace with this name, unless a new one has replaced it.
    pub(crate) fn remove(&self, name: &str) {
        let mut children = self.0.lock();
        if children
            .get(name)
            .is_some_and(|child| child.strong_count() == 0)
        {
            children.remove(name);
        }
        if children.capacity() > 64 && children.len() < children.capacity() / 4 {
            let capacity = children.len() * 2;
            children.shrink_to(capacity);
        }
    }
}
