//! The JSON shapes that the server receives: payloads of events and bodies of requests. Unknown
//! fields are ignored, because pages of the original system send more than the server needs. Writes
//! of the host application and of accounts reject them: a misspelt field would change nothing and
//! still succeed.

mod accounts;
mod conversations;
mod messages;
mod presence;
mod push;
mod sync;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

pub use accounts::*;
pub use conversations::*;
pub use messages::*;
pub use presence::*;
pub use push::*;
pub use sync::*;

/// A `T` written as an object. A derived `Deserialize` also accepts an array of the fields' values,
/// an undocumented second form whose meaning changes with the order of the fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Distinguishes `null` (`Some(None)`) from a missing field (`None`).
fn double_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}
