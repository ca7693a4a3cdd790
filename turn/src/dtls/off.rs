//! In a build without the feature `dtls`: no datagram is DTLS.

use std::net::SocketAddr;
use std::ops::Range;

use causeway_protocol::Moment;
use causeway_turn_core::{ClientAddr, ListenerId};

use super::NoDtls;
use super::counts::DtlsCounts;
use crate::certificates::Certificates;
use crate::io::call::SendFailure;
use crate::settings::{DtlsSettings, TurnSettings};

/// Nothing to show.
#[derive(Clone)]
pub(crate) struct Identity;

/// What new sessions would show.
pub(crate) fn identity(_: &TurnSettings, _: Option<&Certificates>) -> Result<Identity, NoDtls> {
    Ok(Identity)
}

/// No sessions.
pub(crate) struct DtlsSessions {
    counts: DtlsCounts,
}

impl DtlsSessions {
    pub(crate) fn new(_settings: &DtlsSettings, _workers: usize, _: Identity) -> Result<Self, NoDtls> {
        Ok(Self { counts: DtlsCounts::default() })
    }

    pub(crate) fn takes(&self, _datagram: &[u8]) -> bool {
        false
    }

    pub(crate) fn receive(
        &mut self,
        _now: Moment,
        _source: SocketAddr,
        _listener: ListenerId,
        _datagram: &[u8],
        _room: &mut [u8],
        _send: impl FnMut(&[u8]),
    ) -> Option<ClientAddr> {
        None
    }

    pub(crate) fn plaintext(&self, _index: usize) -> Option<Range<usize>> {
        None
    }

    pub(crate) fn plaintext_end(&self) -> usize {
        0
    }

    pub(crate) fn seal(
        &mut self,
        _to: ClientAddr,
        _parts: [&[u8]; 3],
        _send: impl FnMut(&[u8]) -> Result<(), SendFailure>,
    ) -> Result<(), SendFailure> {
        Err(SendFailure::Closed)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    pub(crate) fn on_timeout(
        &mut self,
        _now: Moment,
        _serves: impl Fn(ClientAddr) -> bool,
        _send: impl FnMut(ClientAddr, &[u8]),
    ) {
    }

    pub(crate) fn close_all(&mut self, _send: impl FnMut(ClientAddr, &[u8])) {}

    pub(crate) fn pop_ended(&mut self) -> Option<ClientAddr> {
        None
    }

    pub(crate) fn counts(&self) -> &DtlsCounts {
        &self.counts
    }
}
