//! Rates that hold for all nodes together: each node asks the cluster about what its own count lets pass.

use std::num::NonZeroU32;
use std::time::Duration;

use causeway_cluster::{SharedRate, Taken};
use causeway_protocol::{Now, RoomId};

use crate::access::ApiKey;
use crate::limits::TooMany;
use crate::state::Signal;
use crate::stranger::Stranger;

const MINUTE: Duration = Duration::from_secs(60);

impl Signal {
    /// Counts a room that somebody wants to make.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) async fn count_room(&self, stranger: Stranger, now: Now) -> Result<(), TooMany> {
        self.limits().rooms.check(&stranger, now)?;
        self.count(&format!("rooms:{}", stranger.name()), self.settings().limits.rooms_per_minute).await
    }

    /// Counts a room that an app wants to make.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) async fn count_room_of(&self, key: &ApiKey) -> Result<(), TooMany> {
        key.rooms.check()?;
        self.count(&format!("app-rooms:{}", key.id), key.settings.rooms_per_minute).await
    }

    /// Counts a password that somebody tries at a room.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) async fn count_password(
        &self,
        stranger: Stranger,
        room: &RoomId,
        now: Now,
    ) -> Result<(), TooMany> {
        self.limits().passwords.check(&stranger, now)?;
        self.limits().room_passwords.check(room, now)?;
        let limits = &self.settings().limits;
        self.count(&format!("passwords:{}", stranger.name()), limits.passwords_per_minute).await?;
        self.count(&format!("room-passwords:{room}"), limits.room_passwords_per_minute).await
    }

    /// Counts one on all nodes. This node's own count went before: a flood costs the cluster no more than what is allowed.
    /// While the cluster is away each node counts for itself.
    async fn count(&self, bucket: &str, per_minute: u32) -> Result<(), TooMany> {
        let burst = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let rate = SharedRate { burst, refill: MINUTE / burst.get() };
        match self.cluster.take(bucket, rate).await {
            Ok(Taken::Yes) => Ok(()),
            Ok(Taken::No { retry_after }) => Err(TooMany { retry_after }),
            Err(error) => {
                tracing::debug!(%error, "a rate is this node's own for now");
                Ok(())
            }
        }
    }
}
