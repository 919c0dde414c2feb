//! Watching a bucket.
//!
//! Trap: the client's watch goes on after a reconnect, but never tells that its bucket was lost and made again: it then
//! waits for a revision that is far away. So the bucket's age is looked at now and then.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures_util::StreamExt;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Change, State};

/// How often the bucket is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// A watch of one bucket, past the bucket's own life.
pub(super) struct Watching<T> {
    state: State<T>,
    keys: String,
    looks: Interval,
    /// The watch, and when the bucket it watches was made.
    watch: Option<(kv::Watch, async_nats::datetime::DateTime)>,
}

impl<T: Serialize + DeserializeOwned> Watching<T> {
    pub(super) fn new(state: State<T>, keys: &str) -> Self {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { state, keys: keys.to_owned(), looks, watch: None }
    }

    /// The next change; waits for it, and for the bucket.
    pub(super) async fn next(&mut self) -> Change<T> {
        loop {
            let came = tokio::select! {
                biased;
                came = async { self.watch.as_mut()?.0.next().await }, if self.watch.is_some() => came,
                _ = self.looks.tick() => {
                    self.look().await;
                    continue;
                }
            };
            match came {
                Some(Ok(entry)) => match self.state.read(&entry) {
                    Ok(read) => return Change { key: entry.key, entry: read },
                    Err(error) => tracing::warn!(%error, "a value is passed over"),
                },
                Some(Err(error)) => {
                    tracing::debug!(bucket = %self.state.bucket, %error, "the watch begins anew");
                    self.watch = None;
                }
                None => self.watch = None,
            }
        }
    }

    /// Begins to watch, when that is not so or the bucket is another.
    async fn look(&mut self) {
        let known = self.watch.as_ref().map(|(_, created)| *created);
        let (state, keys) = (&self.state, &self.keys);
        let made = state.within(async {
            let found = state.jetstream.get_key_value(state.bucket.as_ref()).await;
            let store = found.map_err(|error| state.unavailable(&error))?;
            let status = store.status().await.map_err(|error| state.unavailable(&error))?;
            if known == Some(status.info.created) {
                return Ok(None);
            }
            let watch = store.watch_with_history(keys).await;
            Ok(Some((watch.map_err(|error| state.unavailable(&error))?, status.info.created)))
        });
        match made.await {
            Ok(Some(watch)) => self.watch = Some(watch),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the bucket is not watched at the moment"),
        }
    }
}
