//! Mobility (RFC 8016): a ticket lets a client take its allocation along to another 5-tuple.
//!
//! ```text
//! MOBILITY-TICKET   nonce (12) | AES-256-GCM-SIV( worker 2 | number 4 | allocation 8 | epoch 4 | expires 8 ) | tag (16)
//! ```
//! Each successful Refresh with a ticket brings the next epoch, and with it the end of all earlier tickets. The key is
//! drawn at the start and shared by the relays of a process, so that each can tell whose a ticket is.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use causeway_protocol::UnixSeconds;
use causeway_stun::attributes::MobilityTicket;
use causeway_stun::{Message, TransactionId};
use rand_core::Rng;

use crate::action::{Action, Reply};
use crate::address::ClientAddr;
use crate::allocation::Allocation;
use crate::auth::check::Authenticated;
use crate::auth::nonce::NonceKey;
use crate::config::Mobility;
use crate::event::Event;
use crate::relay::{Holder, Relay};
use crate::request::{Refusal, Request};
use crate::tcp::{RelayProtocol, WorkerNumber};

const PLAIN: usize = 2 + 4 + 8 + 4 + 8;
const TAG: usize = 16;
const SEALED: usize = NONCE_LEN + PLAIN + TAG;
/// What the key is for.
const LABEL: &[u8] = b"causeway v1 mobility ticket";

/// What a ticket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    worker: WorkerNumber,
    number: u32,
    allocation: u64,
    epoch: u32,
    /// When the credential ends, and with it every allocation of its.
    expires: UnixSeconds,
}

/// Seals and opens tickets.
pub struct Tickets(LessSafeKey);

impl Tickets {
    /// Tickets of the relays that share this key of nonces; theirs is derived from it.
    #[must_use]
    pub fn new(key: &NonceKey) -> Self {
        let key =
            UnboundKey::new(&AES_256_GCM_SIV, &key.derive(LABEL)).expect("32 bytes are a key of AES-256");
        Self(LessSafeKey::new(key))
    }

    /// The worker that a ticket in a Refresh request leads to, if the ticket is genuine and may still be good.
    #[must_use]
    pub fn worker(&self, ticket: MobilityTicket<'_>, now: UnixSeconds) -> Option<WorkerNumber> {
        self.open(ticket.0).filter(|ticket| now < ticket.expires).map(|ticket| ticket.worker)
    }

    /// AES-GCM-SIV forgives a nonce that comes twice, so 96 random bits are plenty.
    fn seal(&self, ticket: &Ticket, random: &mut dyn Rng) -> [u8; SEALED] {
        let mut nonce = [0; NONCE_LEN];
        random.fill_bytes(&mut nonce);
        let mut plain = [0; PLAIN];
        let fields: [&[u8]; 5] = [
            &ticket.worker.number().to_be_bytes(),
            &ticket.number.to_be_bytes(),
            &ticket.allocation.to_be_bytes(),
            &ticket.epoch.to_be_bytes(),
            &ticket.expires.0.to_be_bytes(),
        ];
        for (to, from) in plain.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut plain)
            .expect("a few bytes are within the bounds of AES-GCM-SIV");
        let mut sealed = [0; SEALED];
        for (to, from) in sealed.iter_mut().zip(nonce.iter().chain(&plain).chain(tag.as_ref())) {
            *to = *from;
        }
        sealed
    }

    fn open(&self, sealed: &[u8]) -> Option<Ticket> {
        let mut sealed: [u8; SEALED] = sealed.try_into().ok()?;
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let plain = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), rest).ok()?;
        let (worker, plain) = plain.split_first_chunk::<2>()?;
        let (number, plain) = plain.split_first_chunk::<4>()?;
        let (allocation, plain) = plain.split_first_chunk::<8>()?;
        let (epoch, plain) = plain.split_first_chunk::<4>()?;
        let (expires, _) = plain.split_first_chunk::<8>()?;
        Some(Ticket {
            worker: WorkerNumber::new(u16::from_be_bytes(*worker))?,
            number: u32::from_be_bytes(*number),
            allocation: u64::from_be_bytes(*allocation),
            epoch: u32::from_be_bytes(*epoch),
            expires: UnixSeconds(u64::from_be_bytes(*expires)),
        })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(…)")
    }
}

/// What an allocation that can move knows about its moves.
#[derive(Debug, Default)]
pub(crate) struct Mobile {
    /// Of the one ticket that is good.
    epoch: u32,
    /// Where the client was; it may go on sending from there until it is heard on the new 5-tuple.
    previous: Option<ClientAddr>,
    /// The request that moved it last and its answer, in case the answer is lost.
    answered: Option<(TransactionId, Box<[u8]>)>,
    /// The client's session is over, and it has not come back yet: there is nobody to send to.
    away: bool,
}

impl Mobile {
    pub(crate) const fn is_away(&self) -> bool {
        self.away
    }

    pub(crate) const fn is_moving(&self) -> bool {
        self.previous.is_some()
    }
}

/// A ticket as it goes into an answer.
pub(crate) struct NextTicket([u8; SEALED]);

impl NextTicket {
    pub(crate) const fn attribute(&self) -> MobilityTicket<'_> {
        MobilityTicket(&self.0)
    }
}

/// RFC 8016 §3.1.2: whether an Allocate request asks for a ticket. One that brings a ticket is refused.
pub(crate) fn wished(message: &Message<'_>, mobility: Mobility) -> Result<bool, Refusal> {
    match (ticket_of(message)?, mobility) {
        (None, _) => Ok(false),
        (Some(MobilityTicket([])), Mobility::Allowed) => Ok(true),
        (Some(MobilityTicket([])), Mobility::Forbidden) => Err(Refusal::MobilityForbidden),
        (Some(MobilityTicket(_)), _) => Err(Refusal::BadRequest),
    }
}

fn ticket_of<'a>(message: &Message<'a>) -> Result<Option<MobilityTicket<'a>>, Refusal> {
    message.get::<MobilityTicket<'a>>().map_err(|_malformed| Refusal::BadRequest)
}

/// What a Refresh request is about.
#[expect(clippy::large_enum_variant, reason = "it goes from here to the handler and no further")]
pub(crate) enum Refreshed {
    /// The allocation of its 5-tuple, as ever.
    Here(u32),
    /// The allocation that its ticket names, which is of its 5-tuple by now; the answer brings the next ticket.
    WithTicket(u32),
    /// It was answered before, and so is it now.
    Again(Reply),
}

impl Relay {
    /// RFC 8016 §3.2.2: the allocation that a Refresh request means; one with a ticket moves it to its 5-tuple.
    pub(crate) fn refreshed(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Refreshed, Refusal> {
        let Some(ticket) = ticket_of(&request.message)? else {
            return self.own_allocation(request, sender).map(Refreshed::Here);
        };
        if self.config.mobility == Mobility::Forbidden {
            return Err(Refusal::MobilityForbidden);
        }

        // 1. The same request again, because the answer was lost.
        let here = self.holder(request.from, request.now);
        if let Some(Holder::Allocation(number)) = here
            && let Some(allocation) = self.allocations.get(number)
            && allocation.is_of(sender)
            && let Some(Mobile { answered: Some((transaction, answer)), .. }) = &allocation.mobile
            && *transaction == request.message.transaction_id()
        {
            return Ok(Refreshed::Again(Reply::repeated(answer)));
        }

        // 2. A genuine ticket, the latest of an allocation that lives and is the sender's: else 437, whatever is wrong.
        let ticket = self.tickets.open(ticket.0).ok_or(Refusal::AllocationMismatch)?;
        let number = ticket.number;
        let allocation = self.allocations.get_mut(number).ok_or(Refusal::AllocationMismatch)?;
        let is_senders = allocation.is_of(sender);
        let mobile = allocation.mobile.as_mut().ok_or(Refusal::AllocationMismatch)?;
        let is_meant = ticket.worker == self.config.worker
            && ticket.allocation == allocation.id.0
            && ticket.epoch == mobile.epoch
            && allocation.relayed.is_alive(request.now.moment)
            && is_senders;
        if !is_meant {
            return Err(Refusal::AllocationMismatch);
        }

        // 3. From its own 5-tuple, or from one without an allocation: else 437. RFC 6062 §5.1: a TCP allocation is
        //    controlled over TCP or TLS.
        match here {
            Some(Holder::Allocation(held)) if held == number => return Ok(Refreshed::WithTicket(number)),
            Some(Holder::Allocation(_) | Holder::Pending(_)) => return Err(Refusal::AllocationMismatch),
            None => {}
        }
        if allocation.protocol == RelayProtocol::Tcp && !request.from.via.transport().is_stream() {
            return Err(Refusal::MobilityForbidden);
        }

        // 4. It moves. What peers send goes to the new 5-tuple at once: the sender has shown, by its nonce, that it
        //    receives there.
        let left = (!mobile.away).then_some(allocation.client);
        let older = std::mem::replace(&mut mobile.previous, left);
        mobile.away = false;
        allocation.client = request.from;
        if let Some(older) = older {
            self.release_client(older, number);
        }
        self.by_client.insert(request.from, Holder::Allocation(number));
        Ok(Refreshed::WithTicket(number))
    }

    /// The next ticket of an allocation that can move; all earlier ones are void.
    pub(crate) fn next_ticket(&mut self, number: u32) -> Option<NextTicket> {
        let allocation = self.allocations.get_mut(number)?;
        let mobile = allocation.mobile.as_mut()?;
        mobile.epoch = mobile.epoch.wrapping_add(1);
        let ticket = Ticket {
            worker: self.config.worker,
            number,
            allocation: allocation.id.0,
            epoch: mobile.epoch,
            expires: allocation
                .credential
                .grant
                .expires
                .map_or(UnixSeconds(u64::MAX), crate::allocation::last_second),
        };
        Some(NextTicket(self.tickets.seal(&ticket, &mut *self.random)))
    }

    /// Remembers the answer to a Refresh with a ticket, and tells where the client is.
    pub(crate) fn note_move(&mut self, number: u32, request: &Request<'_>, reply: &Reply) {
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        if let Some(mobile) = &mut allocation.mobile {
            mobile.answered = Some((request.message.transaction_id(), reply.as_bytes().into()));
        }
        let event = Event::AllocationMoved { allocation: allocation.id, client: allocation.client };
        self.queue.push(Action::Report(event));
    }

    /// The client was heard on a 5-tuple of this allocation. Once that is the new one, the old one is free.
    pub(crate) fn settle_move(&mut self, number: u32, from: ClientAddr) {
        self.forget_trains();
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        if from == allocation.client
            && let Some(previous) = allocation.mobile.as_mut().and_then(|mobile| mobile.previous.take())
        {
            self.release_client(previous, number);
        }
    }

    /// The session that carries this 5-tuple of an allocation is over; `false`: so is the allocation.
    pub(crate) fn stays_without(&mut self, number: u32, client: ClientAddr) -> bool {
        let Some(allocation) = self.allocations.get_mut(number) else { return false };
        let Some(mobile) = &mut allocation.mobile else { return false };
        if allocation.client == client {
            match mobile.previous.take() {
                Some(previous) => allocation.client = previous,
                None => mobile.away = true,
            }
        } else if mobile.previous == Some(client) {
            mobile.previous = None;
        }
        self.release_client(client, number);
        true
    }

    /// Frees the 5-tuples of an allocation that is gone.
    pub(crate) fn release_clients(&mut self, number: u32, allocation: &Allocation) {
        self.release_client(allocation.client, number);
        if let Some(previous) = allocation.mobile.as_ref().and_then(|mobile| mobile.previous) {
            self.release_client(previous, number);
        }
    }

    /// Frees a 5-tuple, unless it is another's by now: sessions' numbers are used again.
    fn release_client(&mut self, client: ClientAddr, number: u32) {
        if self.by_client.get(&client) == Some(&Holder::Allocation(number)) {
            self.by_client.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const TICKET: Ticket = Ticket {
        worker: WorkerNumber::FIRST,
        number: 7,
        allocation: 1 << 40,
        epoch: 3,
        expires: UnixSeconds(1_800_000_000),
    };

    #[test]
    fn a_ticket_says_what_was_sealed_into_it_and_nothing_in_the_clear() {
        let mut random = StdRng::seed_from_u64(1);
        let tickets = tickets(1);
        let sealed = tickets.seal(&TICKET, &mut random);
        assert_eq!(tickets.open(&sealed), Some(TICKET));
        assert_ne!(
            sealed,
            tickets.seal(&TICKET, &mut random),
            "two tickets cannot be told to be of one client"
        );
    }

    #[test]
    fn every_flipped_byte_other_length_and_other_key_is_refused() {
        let tickets = tickets(1);
        let sealed = tickets.seal(&TICKET, &mut StdRng::seed_from_u64(1));
        for position in 0..SEALED {
            let mut forged = sealed;
            forged[position] ^= 1;
            assert_eq!(tickets.open(&forged), None, "{position}");
        }
        assert_eq!(tickets.open(&sealed[1..]), None);
        assert_eq!(tickets.open(&[]), None);
        assert_eq!(super::tests::tickets(2).open(&sealed), None);
    }

    #[test]
    fn the_worker_of_a_ticket_is_told_until_its_credential_ends() {
        let tickets = tickets(1);
        let worker = WorkerNumber::new(300).unwrap();
        let sealed = tickets.seal(&Ticket { worker, ..TICKET }, &mut StdRng::seed_from_u64(1));
        let told = |now| tickets.worker(MobilityTicket(&sealed), UnixSeconds(now));
        assert_eq!(told(1_799_999_999), Some(worker));
        assert_eq!(told(1_800_000_000), None);
    }

    fn tickets(key: u8) -> Tickets {
        Tickets::new(&NonceKey::from_bytes([key; 32]))
    }
}
