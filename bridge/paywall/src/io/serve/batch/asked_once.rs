//! What several ask for at once and is done once: all of them learn how it ended.
//!
//! It goes on if nobody waits any more. Whoever asks after its end asks for something new.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use tokio::sync::watch;

/// For how long an end is remembered, for who asked before it: longer than it takes to see that there is nothing left to do.
const MEMORY: Duration = Duration::from_secs(60);
/// Ends that are remembered. What is under way is bounded by whoever lets it begin.
const MOST: usize = 1_000;

/// By the hash of all that was asked.
pub struct AskedOnce<T>(Mutex<BTreeMap<B256, End<T>>>);

/// None while it is under way; then with its time.
type End<T> = watch::Receiver<Option<(T, Instant)>>;

impl<T> Default for AskedOnce<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + Sync + 'static> AskedOnce<T> {
    /// How the same ended since this time, or is about to.
    pub async fn find(&self, key: B256, since: Instant) -> Option<T> {
        let end = self.table().get(&key).filter(|end| is_since(end, since))?.clone();
        ended(end).await
    }

    /// Begins it, unless the same is under way or ended since this time; its end.
    pub async fn ask(
        self: &Arc<Self>,
        key: B256,
        since: Instant,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let end = {
            let mut table = self.table();
            match table.get(&key).filter(|end| is_since(end, since)) {
                Some(end) => end.clone(),
                None => {
                    make_room(&mut table);
                    let (sender, end) = watch::channel(None);
                    table.insert(key, end.clone());
                    tokio::spawn(async move { sender.send_replace(Some((work.await, Instant::now()))) });
                    end
                }
            }
        };
        ended(end).await
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<B256, End<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_since<T>(end: &End<T>, since: Instant) -> bool {
    end.borrow().as_ref().is_none_or(|(_, at)| *at >= since)
}

/// Forgets what is old, and of what ended the oldest if there is too much.
fn make_room<T>(table: &mut BTreeMap<B256, End<T>>) {
    table.retain(|_, end| end.borrow().as_ref().is_none_or(|(_, at)| at.elapsed() < MEMORY));
    if table.len() < MOST {
        return;
    }
    let all_ended = table.iter().filter_map(|(key, end)| end.borrow().as_ref().map(|(_, at)| (*at, *key)));
    if let Some((_, key)) = all_ended.min() {
        table.remove(&key);
    }
}

async fn ended<T: Clone>(mut end: End<T>) -> Option<T> {
    let end = end.wait_for(Option::is_some).await.ok()?;
    end.as_ref().map(|(end, _)| end.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const KEY: B256 = B256::repeat_byte(1);

    #[tokio::test]
    async fn what_many_ask_for_is_done_once_and_all_learn_its_end() {
        let (all, done) = (Arc::<AskedOnce<u32>>::default(), Arc::new(AtomicU32::new(0)));
        let since = Instant::now();
        let ask = || {
            let (all, done) = (all.clone(), done.clone());
            let work = async move {
                tokio::task::yield_now().await;
                done.fetch_add(1, Ordering::Relaxed) + 1
            };
            tokio::spawn(async move { all.ask(KEY, since, work).await })
        };
        for asked in (0..16).map(|_| ask()).collect::<Vec<_>>() {
            assert_eq!(asked.await.expect("it ends"), Some(1));
        }
        assert_eq!((all.find(KEY, since).await, all.find(B256::ZERO, since).await), (Some(1), None));
        assert_eq!(all.find(KEY, Instant::now()).await, None, "who asks later");
        assert_eq!(all.ask(KEY, Instant::now(), async { 2 }).await, Some(2));
    }

    #[tokio::test]
    async fn whoever_goes_away_stops_nothing() {
        let (all, since) = (Arc::<AskedOnce<u32>>::default(), Instant::now());
        let (go, gone) = tokio::sync::oneshot::channel::<u32>();
        let asked = all.ask(KEY, since, async move { gone.await.unwrap_or_default() });
        assert!(tokio::time::timeout(Duration::from_millis(1), asked).await.is_err(), "it waits");
        go.send(7).expect("it goes on");
        assert_eq!(all.find(KEY, since).await, Some(7));
    }

    #[tokio::test]
    async fn no_more_is_remembered_than_there_is_room_for() {
        let all = Arc::<AskedOnce<usize>>::default();
        for number in 0..MOST + 8 {
            let key = B256::from(alloy_primitives::U256::from(number));
            assert_eq!(all.ask(key, Instant::now(), async move { number }).await, Some(number));
        }
        assert_eq!(all.table().len(), MOST);
    }
}
