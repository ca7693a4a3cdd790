//! One connection to Redis, whichever way it is set up.

use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, ProtocolVersion, RedisFuture, RedisResult, TlsMode, Value,
};

use super::address::{Kind, RedisUrl};

/// How long a connection may take to be made, logging in included.
const DIAL_WITHIN: Duration = Duration::from_secs(2);
/// How long all of it may take, Sentinels and all nodes of a Redis Cluster included, some of which may be silent.
const DIAL_ALL_WITHIN: Duration = Duration::from_secs(10);
/// How long Redis may take for one answer. `commands.rs` waits as long in all.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A connection that many tasks may use at once.
#[derive(Clone)]
pub(crate) struct Line {
    wire: Wire,
    /// Whether the server has sharded channels (Redis 7.0): in a Redis Cluster a message then stays in its shard.
    pub(crate) sharded: bool,
}

#[derive(Clone)]
enum Wire {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl Line {
    /// Connects. What the server pushes goes to `pushes`.
    pub(crate) async fn dial(url: &RedisUrl, pushes: Option<impl AsyncPushSender>) -> RedisResult<Self> {
        let dialed = tokio::time::timeout(DIAL_ALL_WITHIN, Self::dial_for_long(url, pushes)).await;
        dialed.unwrap_or_else(|_elapsed| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    async fn dial_for_long(url: &RedisUrl, pushes: Option<impl AsyncPushSender>) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DIAL_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let wire = match &url.0 {
            Kind::Single(info) => {
                let config = with_pushes(config, pushes);
                let client = Client::open((**info).clone())?;
                Wire::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Kind::Sentinel { sentinels, service, redis, tls } => {
                let config = with_pushes(config, pushes);
                let mut builder =
                    SentinelClientBuilder::new(sentinels.clone(), service, SentinelServerType::Master)?
                        .set_client_to_redis_db(redis.db())
                        .set_client_to_redis_protocol(ProtocolVersion::RESP3);
                if let Some(username) = redis.username() {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = redis.password() {
                    builder = builder.set_client_to_redis_password(password);
                }
                if *tls {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                }
                // Asked anew for each connection: that is how a failover is found.
                Wire::One(builder.build()?.get_async_connection_with_config(&config).await?)
            }
            Kind::Cluster(infos) => {
                let mut builder = ClusterClientBuilder::new(infos.clone())
                    .use_protocol(ProtocolVersion::RESP3)
                    .connection_timeout(DIAL_WITHIN)
                    .response_timeout(ANSWER_WITHIN)
                    .retries(2);
                if let Some(pushes) = pushes {
                    builder = builder.push_sender(pushes);
                }
                Wire::Many(builder.build()?.get_async_connection().await?)
            }
        };
        let mut line = Self { wire, sharded: false };
        let known: Vec<Value> =
            redis::cmd("COMMAND").arg("INFO").arg("SPUBLISH").query_async(&mut line).await?;
        line.sharded = known.iter().any(|command| *command != Value::Nil);
        Ok(line)
    }

    /// Publishes all of them; which have arrived is not known.
    pub(crate) async fn publish(mut self, messages: &[(String, bytes::Bytes)]) -> RedisResult<()> {
        let command = if self.sharded { "SPUBLISH" } else { "PUBLISH" };
        match &self.wire {
            Wire::One(_) => {
                let mut pipeline = redis::pipe();
                for (channel, bytes) in messages {
                    pipeline.cmd(command).arg(channel).arg(&bytes[..]).ignore();
                }
                pipeline.query_async(&mut self).await
            }
            // Their channels live on different servers.
            Wire::Many(_) => {
                let publish = |(channel, bytes): &(String, bytes::Bytes)| {
                    let mut line = self.clone();
                    let command = redis::cmd(command).arg(channel).arg(&bytes[..]).clone();
                    async move { command.query_async::<()>(&mut line).await }
                };
                futures_util::future::try_join_all(messages.iter().map(publish)).await?;
                Ok(())
            }
        }
    }

    /// Listens to a channel; what is said there is pushed.
    pub(crate) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        let command = if self.sharded { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        match &mut self.wire {
            Wire::One(_) => redis::cmd(command).arg(channel).exec_async(self).await,
            Wire::Many(cluster) if self.sharded => cluster.ssubscribe(channel).await,
            Wire::Many(cluster) => cluster.subscribe(channel).await,
        }
    }
}

fn with_pushes(config: AsyncConnectionConfig, pushes: Option<impl AsyncPushSender>) -> AsyncConnectionConfig {
    match pushes {
        Some(pushes) => config.set_push_sender(pushes),
        None => config,
    }
}

impl ConnectionLike for Line {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.wire {
            Wire::One(one) => one.req_packed_command(cmd),
            Wire::Many(many) => many.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.wire {
            Wire::One(one) => one.req_packed_commands(cmd, offset, count),
            Wire::Many(many) => many.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.wire {
            Wire::One(one) => one.get_db(),
            Wire::Many(many) => many.get_db(),
        }
    }
}
