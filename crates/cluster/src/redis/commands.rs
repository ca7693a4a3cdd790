//! Questions to Redis, each with an end: on one connection that many share, made anew when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
}

#[derive(Default)]
struct Slot {
    line: Option<Line>,
    generation: u64,
    rest_until: Moment,
}

impl Commands {
    pub(crate) fn new(url: RedisUrl, clock: Clock) -> Self {
        Self { url, clock, slot: Arc::default() }
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
                Err(error) => return Err(refusal(&error)),
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
        let dialing = dial(slot, self.url.clone(), Arc::clone(&self.clock));
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
                Err(refusal(&error))
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

fn refusal(error: &RedisError) -> ClusterError {
    if matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse) {
        tracing::warn!(%error, "Redis answers something else than asked for");
        return ClusterError::Unreadable;
    }
    let code = error.code().unwrap_or(error.category()).to_owned();
    tracing::warn!(%error, code, "Redis refuses");
    ClusterError::Refused { code }
}
