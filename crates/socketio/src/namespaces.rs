//! The namespaces of a server: fixed ones, and dynamic ones that exist as long as a socket uses
//! them.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use crate::{
    Handler,
    namespace::{AnyNamespace, Namespace},
    rooms::Rooms,
    sync::Mutex,
};

#[derive(Default)]
pub(crate) struct Namespaces {
    fixed: Vec<Arc<dyn AnyNamespace>>,
    dynamic: Vec<Box<dyn ParentNamespace>>,
    children: Arc<ChildNamespaces>,
}

/// The dynamic namespaces in use. Sockets, pending CONNECTs, and connections whose client may not
/// yet know that it was disconnected hold the strong references; a namespace removes itself when
/// the last one is dropped.
#[derive(Default)]
pub(crate) struct ChildNamespaces(Mutex<HashMap<Box<str>, Weak<dyn AnyNamespace>>>);

/// A handler for all namespaces whose names match a predicate.
trait ParentNamespace: Send + Sync {
    fn matches(&self, name: &str) -> bool;
    fn create(&self, name: &str, children: &Arc<ChildNamespaces>) -> Arc<dyn AnyNamespace>;
}

struct ParentNamespaceOf<H, F> {
    matches: F,
    handler: Arc<H>,
}

impl<H: Handler, F: Fn(&str) -> bool + Send + Sync> ParentNamespace for ParentNamespaceOf<H, F> {
    fn matches(&self, name: &str) -> bool {
        (self.matches)(name)
    }

    fn create(&self, name: &str, children: &Arc<ChildNamespaces>) -> Arc<dyn AnyNamespace> {
        let handler = self.handler.clone();
        Arc::new(Namespace {
            name: name.into(),
            handler,
            rooms: Rooms::default(),
            parent: Some(children.clone()),
        })
    }
}

impl Namespaces {
    pub(crate) fn add<H: Handler>(&mut self, name: Box<str>, handler: H) {
        self.fixed.retain(|namespace| namespace.name() != &*name);
        self.fixed.push(Arc::new(Namespace {
            name,
            handler: Arc::new(handler),
            rooms: Rooms::default(),
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
        let created = dynamic.create(name, &self.children);
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
