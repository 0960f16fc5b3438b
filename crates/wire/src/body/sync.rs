//! `sync`: the client's position in each conversation.

use crate::loose::LooseId;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use ts_rs::TS;

/// `sync`.
#[derive(Debug, Deserialize, TS)]
pub struct SyncBody {
    /// The newest entry that the client has of each conversation: its `seq`, or better its `seq`
    /// and `id`.
    #[ts(type = "Record<string, number | { seq: number, id?: string }>")]
    pub conversations: HaveSeqs,
}

/// A map from conversation to its newest known entry, in the order of the request; of a repeated key
/// the last one counts. `None` stands for a malformed value, which is refused alone.
#[derive(Debug, Default)]
pub struct HaveSeqs(pub Vec<(String, Option<HaveSeq>)>);

/// A `seq`, and the id of its entry if the client sent it.
#[derive(Debug)]
pub struct HaveSeq {
    pub seq: u64,
    pub id: Option<LooseId>,
}

/// A value of `sync`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seq {
    Known(u64),
    Entry {
        seq: u64,
        #[serde(default)]
        id: Option<LooseId>,
    },
    Other(de::IgnoredAny),
}

impl<'de> Deserialize<'de> for HaveSeqs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;

        impl<'de> Visitor<'de> for MapVisitor {
            type Value = HaveSeqs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from conversation ids to the last seq, or { seq, id }, known of each")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HaveSeqs, A::Error> {
                let mut all: Vec<(String, Option<HaveSeq>)> = Vec::new();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((key, seq)) = map.next_entry::<String, Seq>()? {
                    let seq = match seq {
                        Seq::Known(seq) => Some(HaveSeq { seq, id: None }),
                        Seq::Entry { seq, id } => Some(HaveSeq { seq, id }),
                        Seq::Other(_) => None,
                    };
                    match places.get(&key) {
                        Some(place) => all[*place].1 = seq,
                        None => {
                            places.insert(key.clone(), all.len());
                            all.push((key, seq));
                        }
                    }
                    if all.len() > 10_000 {
                        return Err(de::Error::custom("too many conversations"));
                    }
                }
                Ok(HaveSeqs(all))
            }
        }

        deserializer.deserialize_map(MapVisitor)
    }
}
