//! The namespaces of a server: fixed ones, and dynamic ones that exist as long as a socket uses
//! them.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
};

use super::{AnyNamespace, children::ChildNamespaces, of_handler::Namespace};
use crate::{Handler, hub::Hub, rooms::Rooms};

pub(crate) struct Namespaces {
    pub(crate) hub: Arc<Hub>,
    fixed: Vec<Arc<dyn AnyNamespace>>,
    dynamic: Vec<Box<dyn ParentNamespace>>,
    children: Arc<ChildNamespaces>,
    auth_hasher: RandomState,
}

/// A handler for all namespaces whose names match a predicate.
trait ParentNamespace: Send + Sync {
    fn matches(&self, name: &str) -> bool;
    fn create(
        &self,
        name: &str,
        hub: &Arc<Hub>,
        children: &Arc<ChildNamespaces>,
    ) -> Arc<dyn AnyNamespace>;
}

struct ParentNamespaceOf<H, F> {
    matches: F,
    handler: Arc<H>,
}

impl<H: Handler, F: Fn(&str) -> bool + Send + Sync> ParentNamespace for ParentNamespaceOf<H, F> {
    fn matches(&self, name: &str) -> bool {
        (self.matches)(name)
    }

    fn create(
        &self,
        name: &str,
        hub: &Arc<Hub>,
        children: &Arc<ChildNamespaces>,
    ) -> Arc<dyn AnyNamespace> {
        let handler = self.handler.clone();
        Arc::new(Namespace {
            name: name.into(),
            handler,
            rooms: Rooms::default(),
            hub: hub.clone(),
            parent: Some(children.clone()),
        })
    }
}

impl Namespaces {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            fixed: Vec::new(),
            dynamic: Vec::new(),
            children: Arc::default(),
            auth_hasher: RandomState::new(),
        }
    }

    /// A fingerprint of an `auth` payload, to compare payloads without storing them.
    pub(crate) fn auth_fingerprint(&self, auth: Option<&str>) -> u64 {
        self.auth_hasher.hash_one(auth)
    }

    pub(crate) fn add<H: Handler>(&mut self, name: Box<str>, handler: H) {
        self.fixed.retain(|namespace| namespace.name() != &*name);
        self.fixed.push(Arc::new(Namespace {
            name,
            handler: Arc::new(handler),
            rooms: Rooms::default(),
            hub: self.hub.clone(),
            parent: None,
        }));
    }

    pub(crate) fn add_dynamic<H: Handler>(
        &mut self,
        matches: impl Fn(&str) -> bool + Send + Sync + 'static,
        handler: H,
    ) {
        self.dynamic.push(Box::new(ParentNamespaceOf {
            matches,
            handler: Arc::new(handler),
        }));
    }

    /// Number of namespaces, if it is known in advance (no dynamic ones).
    pub(crate) fn count(&self) -> Option<usize> {
        self.dynamic.is_empty().then_some(self.fixed.len())
    }

    /// Returns an existing namespace.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn AnyNamespace>> {
        let fixed = self.fixed.iter().find(|namespace| namespace.name() == name);
        fixed
            .cloned()
            .or_else(|| self.children.0.lock().get(name).and_then(Weak::upgrade))
    }

    /// Returns the namespace that a client requests, creating a dynamic one if its name matches.
    pub(crate) fn open(&self, name: &str) -> Option<Arc<dyn AnyNamespace>> {
        if let Some(found) = self.find(name) {
            return Some(found);
        }
        // Called before the lock is taken, because the predicate is application code.
        let dynamic = self.dynamic.iter().find(|dynamic| dynamic.matches(name))?;
        let mut children = self.children.0.lock();
        if let Some(found) = children.get(name).and_then(Weak::upgrade) {
            return Some(found);
        }
        let created = dynamic.create(name, &self.hub, &self.children);
        children.insert(name.into(), Arc::downgrade(&created));
        Some(created)
    }

    /// The names of the fixed namespaces, and of the dynamic ones that have a socket.
    pub(crate) fn names(&self) -> Vec<String> {
        // Collect first: dropping the last reference while the lock is held would deadlock.
        let children: Vec<_> = self
            .children
            .0
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        let used = children.iter().filter(|child| !child.rooms().is_empty());
        self.fixed
            .iter()
            .chain(used)
            .map(|namespace| namespace.name().to_owned())
            .collect()
    }
}
