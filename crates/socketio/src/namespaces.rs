//! The namespaces of a server: those that are always there, and those that come and go with their
//! sockets.

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
    dynamic: Vec<Box<dyn Dynamic>>,
    children: Arc<Children>,
}

/// Dynamic namespaces. They are kept by their sockets, by who is on the way in, and by connections
/// that were put out of them and may not know it yet, and take themselves out when the last of
/// those is gone.
#[derive(Default)]
pub(crate) struct Children(Mutex<HashMap<Box<str>, Weak<dyn AnyNamespace>>>);

/// Namespaces of many names with one handler.
trait Dynamic: Send + Sync {
    fn has(&self, name: &str) -> bool;
    fn make(&self, name: &str, children: &Arc<Children>) -> Arc<dyn AnyNamespace>;
}

struct DynamicOf<H, F> {
    has: F,
    handler: Arc<H>,
}

impl<H: Handler, F: Fn(&str) -> bool + Send + Sync> Dynamic for DynamicOf<H, F> {
    fn has(&self, name: &str) -> bool {
        (self.has)(name)
    }

    fn make(&self, name: &str, children: &Arc<Children>) -> Arc<dyn AnyNamespace> {
        let handler = self.handler.clone();
        Arc::new(Namespace {
            name: name.into(),
            handler,
            rooms: Rooms::default(),
            among: Some(children.clone()),
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
            among: None,
        }));
    }

    pub(crate) fn add_dynamic<H: Handler>(
        &mut self,
        has: impl Fn(&str) -> bool + Send + Sync + 'static,
        handler: H,
    ) {
        self.dynamic.push(Box::new(DynamicOf {
            has,
            handler: Arc::new(handler),
        }));
    }

    /// How many there can be, if they are all known.
    pub(crate) fn count(&self) -> Option<usize> {
        self.dynamic.is_empty().then_some(self.fixed.len())
    }

    /// One that is there.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn AnyNamespace>> {
        let fixed = self.fixed.iter().find(|namespace| namespace.name() == name);
        fixed
            .cloned()
            .or_else(|| self.children.0.lock().get(name).and_then(Weak::upgrade))
    }

    /// One that a client asks for.
    pub(crate) fn open(&self, name: &str) -> Option<Arc<dyn AnyNamespace>> {
        if let Some(found) = self.find(name) {
            return Some(found);
        }
        // Asked before the lock is taken: it is the application's to answer.
        let dynamic = self.dynamic.iter().find(|dynamic| dynamic.has(name))?;
        let mut children = self.children.0.lock();
        if let Some(found) = children.get(name).and_then(Weak::upgrade) {
            return Some(found);
        }
        let made = dynamic.make(name, &self.children);
        children.insert(name.into(), Arc::downgrade(&made));
        Some(made)
    }

    /// The names of those that are always there, and of those that somebody is in.
    pub(crate) fn names(&self) -> Vec<String> {
        // One that is let go while the lock is held would wait for it for ever.
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

impl Children {
    /// The one of this name is gone. (Another may have been made since.)
    pub(crate) fn gone(&self, name: &str) {
        let mut children = self.0.lock();
        if children
            .get(name)
            .is_some_and(|child| child.strong_count() == 0)
        {
            children.remove(name);
        }
        if children.capacity() > 64 && children.len() < children.capacity() / 4 {
            let room = children.len() * 2;
            children.shrink_to(room);
        }
    }
}
