//! The metrics of the cluster: their names and what they mean. Labels come from enums of ours.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const CONNECTED: &str = "causeway_cluster_connected";
const SENT: &str = "causeway_cluster_frames_sent_total";
const RECEIVED: &str = "causeway_cluster_frames_received_total";
const REFUSED: &str = "causeway_cluster_frames_refused_total";
const RETRANSMITTED: &str = "causeway_cluster_letters_retransmitted_total";
const RESETS: &str = "causeway_cluster_link_resets_total";
const OVERFLOW: &str = "causeway_cluster_mailbox_overflow_total";
const RENEWALS_FAILED: &str = "causeway_cluster_lease_renewals_failed_total";
const LEASES_LOST: &str = "causeway_cluster_leases_lost_total";
const SUBSCRIPTIONS_DEAD: &str = "causeway_cluster_subscriptions_dead_total";

/// Why something that came over Redis was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Garbage, or another version's.
    Malformed,
    /// Not sealed by this installation for this receiver.
    Forged,
    /// Of a session that is over, or repeated.
    Stale,
    /// The sender does not know this node yet; it was answered.
    Greeting,
    /// Something before it is missing; it will be sent again.
    Gap,
    /// It had arrived.
    Duplicate,
    /// There is no place for it; it will be sent again.
    Full,
    /// Of a kind that this version does not know.
    Unknown,
}

impl Refused {
    const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Forged,
        Self::Stale,
        Self::Greeting,
        Self::Gap,
        Self::Duplicate,
        Self::Full,
        Self::Unknown,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Stale => "stale",
            Self::Greeting => "greeting",
            Self::Gap => "gap",
            Self::Duplicate => "duplicate",
            Self::Full => "full",
            Self::Unknown => "unknown",
        }
    }
}

/// Tells the recorder what the metrics mean.
pub(crate) fn describe() {
    describe_gauge!(CONNECTED, "Whether this node reaches Redis: 1 or 0.");
    describe_counter!(SENT, "Messages sent to other nodes over Redis.");
    describe_counter!(RECEIVED, "Messages of other nodes that were taken.");
    describe_counter!(REFUSED, "Messages over Redis that were not taken, by reason.");
    describe_counter!(RETRANSMITTED, "Letters to other nodes that were sent again.");
    describe_counter!(
        RESETS,
        "Links to other nodes that began anew, because letters were given up or a node forgot them."
    );
    describe_counter!(OVERFLOW, "Messages dropped because too many waited to be read.");
    describe_counter!(RENEWALS_FAILED, "Attempts to renew the lease that had no answer.");
    describe_counter!(LEASES_LOST, "Leases that were over before they were renewed.");
    describe_counter!(SUBSCRIPTIONS_DEAD, "Subscriptions given up because they brought nothing any more.");
    // A dashboard that is set up on a quiet day finds its series.
    gauge!(CONNECTED).set(0.0);
    for name in
        [SENT, RECEIVED, RETRANSMITTED, RESETS, OVERFLOW, RENEWALS_FAILED, LEASES_LOST, SUBSCRIPTIONS_DEAD]
    {
        counter!(name).increment(0);
    }
    for reason in Refused::ALL {
        counter!(REFUSED, "reason" => reason.as_str()).increment(0);
    }
}

pub(crate) fn connected(connected: bool) {
    gauge!(CONNECTED).set(if connected { 1.0 } else { 0.0 });
}

pub(crate) fn sent(frames: usize) {
    counter!(SENT).increment(frames as u64);
}

pub(crate) fn received() {
    counter!(RECEIVED).increment(1);
}

pub(crate) fn refused(reason: Refused) {
    counter!(REFUSED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn retransmitted(letters: u64) {
    counter!(RETRANSMITTED).increment(letters);
}

pub(crate) fn reset() {
    counter!(RESETS).increment(1);
}

pub(crate) fn overflow() {
    counter!(OVERFLOW).increment(1);
}

pub(crate) fn renewal_failed() {
    counter!(RENEWALS_FAILED).increment(1);
}

pub(crate) fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

pub(crate) fn subscription_dead() {
    counter!(SUBSCRIPTIONS_DEAD).increment(1);
}
