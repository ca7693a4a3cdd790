//! Questions to Redis, each with an end: on one connection that many share, made anew when it breaks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::Moment;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, Value};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::address::RedisUrl;
use super::line::Line;
use crate::clock::Clock;
use crate::cluster::ClusterError;

/// How long an answer may take in all.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often a question is asked again on a new connection. Each script may run twice without harm.
const ATTEMPTS: u32 = 3;
/// After a connection could not be made, questions fail at once for so long, rather than each trying for itself.
const REST: Duration = Duration::from_millis(100);

/// People are told again of a refusal that goes on.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What can be asked.
#[derive(Clone, Copy)]
enum Question<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
    Publish(&'a [(String, Bytes)]),
}

impl Question<'_> {
    async fn ask(self, mut line: Line) -> RedisResult<Value> {
        match self {
            Self::Command(command) => command.query_async(&mut line).await,
            Self::Script(script) => script.invoke_async(&mut line).await,
            Self::Publish(messages) => line.publish(messages).await.map(|()| Value::Nil),
        }
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, ClusterError> {
    redis::from_redis_value(value).map_err(|error| {
        tracing::warn!(%error, "Redis answers something else than asked for");
        ClusterError::Unreadable
    })
}

/// Asks.
pub(crate) struct Commands {
    url: RedisUrl,
    clock: Clock,
    slot: Arc<Mutex<Slot>>,
    refusals: Arc<Refusals>,
}

/// The latest refusal that people were told of, and when: what is refused once is refused several times a second.
#[derive(Default)]
struct Refusals(std::sync::Mutex<Option<(String, Moment)>>);

#[derive(Default)]
struct Slot {
    line: Option<Line>,
    generation: u64,
    rest_until: Moment,
}

impl Commands {
    pub(crate) fn new(url: RedisUrl, clock: Clock) -> Self {
        Self { url, clock, slot: Arc::default(), refusals: Arc::default() }
    }

    /// What a script answers.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<T, ClusterError> {
        let mut invocation: ScriptInvocation<'_> = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        read(self.ask(Question::Script(&invocation)).await?)
    }

    /// What a command answers.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, ClusterError> {
        read(self.ask(Question::Command(command)).await?)
    }

    /// Publishes messages on their channels; which arrive is not known.
    pub(crate) async fn publish(&self, messages: &[(String, Bytes)]) -> Result<(), ClusterError> {
        self.ask(Question::Publish(messages)).await.map(drop)
    }

    async fn ask(&self, question: Question<'_>) -> Result<Value, ClusterError> {
        let used = AtomicU64::new(0);
        if let Ok(answer) = tokio::time::timeout(ANSWER_WITHIN, self.attempt(&used, question)).await {
            return answer;
        }
        // Whether it is the connection or the server: a new connection will tell.
        self.hang_up(used.load(Ordering::Relaxed)).await;
        Err(ClusterError::TimedOut)
    }

    async fn attempt(&self, used: &AtomicU64, question: Question<'_>) -> Result<Value, ClusterError> {
        for _ in 0..ATTEMPTS {
            let (line, generation) = self.line().await?;
            used.store(generation, Ordering::Relaxed);
            match question.ask(line).await {
                Ok(answer) => return Ok(answer),
                Err(error) if wants_another_connection(&error) => {
                    tracing::debug!(%error, "the connection to Redis broke");
                    self.hang_up(generation).await;
                }
                Err(error) => return Err(self.refusals.tell(&error, (self.clock)().moment)),
            }
        }
        Err(ClusterError::Unreachable)
    }

    async fn line(&self) -> Result<(Line, u64), ClusterError> {
        let slot = Arc::clone(&self.slot).lock_owned().await;
        if let Some(line) = &slot.line {
            return Ok((line.clone(), slot.generation));
        }
        if (self.clock)().moment < slot.rest_until {
            return Err(ClusterError::Unreachable);
        }
        // Who waits for it may lose patience; the next one finds it made.
        let dialing = dial(slot, self.url.clone(), Arc::clone(&self.clock), Arc::clone(&self.refusals));
        tokio::spawn(dialing).await.unwrap_or(Err(ClusterError::Unreachable))
    }

    async fn hang_up(&self, generation: u64) {
        // Whoever holds it for longer is making another.
        if let Ok(mut slot) = self.slot.try_lock()
            && slot.generation == generation
        {
            slot.line = None;
        }
    }
}

async fn dial(
    mut slot: OwnedMutexGuard<Slot>,
    url: RedisUrl,
    clock: Clock,
    refusals: Arc<Refusals>,
) -> Result<(Line, u64), ClusterError> {
    match Line::dial(&url, None::<NoPushes>).await {
        Ok(line) => {
            slot.generation += 1;
            slot.line = Some(line.clone());
            Ok((line, slot.generation))
        }
        Err(error) => {
            tracing::debug!(%error, "cannot connect to {url}");
            slot.rest_until = clock().moment.plus(REST);
            if wants_another_connection(&error) {
                Err(ClusterError::Unreachable)
            } else {
                Err(refusals.tell(&error, clock().moment))
            }
        }
    }
}

/// Nothing is pushed to who only asks.
type NoPushes = fn(redis::PushInfo) -> Result<(), redis::aio::SendError>;

/// Whether the same question may be answered on a new connection: this one is gone, or leads to a server that is no master any
/// more.
pub(crate) fn wants_another_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING" | "CLUSTERDOWN"))
        || matches!(
            error.kind(),
            ErrorKind::ClusterConnectionNotFound | ErrorKind::MasterNameNotFoundBySentinel
        )
}

impl Refusals {
    fn tell(&self, error: &RedisError, now: Moment) -> ClusterError {
        if matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse) {
            tracing::warn!(%error, "Redis answers something else than asked for");
            return ClusterError::Unreadable;
        }
        let code = error.code().unwrap_or(error.category()).to_owned();
        let what_to_do = match code.as_str() {
            "WRONGPASS" | "NOAUTH" => {
                "; cluster.redis_url names user and password: redis://user:password@host"
            }
            "NOPERM" => "; let its user do everything with causeway:*",
            _ => "",
        };
        if self.is_news(&code, now) {
            tracing::warn!(%error, "Redis refuses{what_to_do}");
        } else {
            tracing::debug!(%error, "Redis still refuses");
        }
        ClusterError::Refused { code }
    }

    fn is_news(&self, code: &str, now: Moment) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = told.as_ref().is_some_and(|(last, at)| last == code && now.since(*at) < SAY_AGAIN);
        if !known {
            *told = Some((code.to_owned(), now));
        }
        !known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_told_now_and_then_and_another_at_once() {
        let refusals = Refusals::default();
        let at = |seconds| Moment::from_origin(Duration::from_secs(seconds));
        assert!(refusals.is_news("WRONGPASS", at(0)));
        assert!(!refusals.is_news("WRONGPASS", at(29)));
        assert!(refusals.is_news("NOPERM", at(29)));
        assert!(refusals.is_news("NOPERM", at(59)));
    }
}
