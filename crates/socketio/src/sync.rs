//! The locks that threads share. In unit tests each access is also a scheduling point for a model
//! checker: see `models`. In other builds they are the plain types.

#[cfg(not(test))]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(not(test))]
pub(crate) use std::sync::atomic::AtomicBool;

#[cfg(test)]
pub(crate) use self::modelled::{AtomicBool, Mutex, RwLock};

#[cfg(test)]
mod modelled {
    use std::sync::atomic::{self, Ordering};

    use parking_lot::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    fn is_modelled() -> bool {
        shuttle::current::try_get_current_task().is_some()
    }

    /// A scheduling point. (`yield_now` would mark the task as woken and hide lost wake-ups.)
    fn scheduling_point() {
        shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
    }

    /// Takes a lock. A model's threads run one at a time, so blocking for real would deadlock.
    fn acquire<G>(attempt: impl Fn() -> Option<G>, wait: impl Fn() -> G) -> G {
        if !is_modelled() {
            return wait();
        }
        loop {
            scheduling_point();
            if let Some(guard) = attempt() {
                return guard;
            }
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            acquire(|| self.0.try_lock(), || self.0.lock())
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(parking_lot::RwLock<T>);

    impl<T> RwLock<T> {
        #[cfg(feature = "tls")]
        pub(crate) const fn new(value: T) -> Self {
            Self(parking_lot::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            acquire(|| self.0.try_read(), || self.0.read())
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            acquire(|| self.0.try_write(), || self.0.write())
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct AtomicBool(atomic::AtomicBool);

    impl AtomicBool {
        pub(crate) const fn new(value: bool) -> Self {
            Self(atomic::AtomicBool::new(value))
        }

        fn here(&self) -> &atomic::AtomicBool {
            if is_modelled() {
                scheduling_point();
            }
            &self.0
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.here().load(order)
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.here().store(value, order);
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            self.here().swap(value, order)
        }
    }
}
