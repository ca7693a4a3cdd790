//! What an app has done with a room that it made, on whichever node that lives.

use actix::{Context, Handler, Message, ResponseFuture};
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::node::{Answer, AppOrder, Question};
use causeway_protocol::{ErrorCode, PeerId};
use causeway_signal_core::{Dismissal, Ending, Input};

use super::{Role, RoomActor, later, now};

/// The app with this key wants something done, if the room is one of its own.
#[derive(Message)]
#[rtype(result = "Result<(), ErrorCode>")]
pub(crate) struct Order {
    pub(crate) app: ApiKeyId,
    pub(crate) order: AppOrder,
}

impl RoomActor {
    /// What an order of an app is to the room, if the app may give it.
    pub(super) fn input_of(&self, app: &ApiKeyId, order: AppOrder) -> Result<Input, ErrorCode> {
        let Role::Owner(owner) = &self.role else { return Err(ErrorCode::Unavailable) };
        owner.is_of(app)?;
        match order {
            AppOrder::End {} => Ok(Input::End(Ending::Closed)),
            AppOrder::Kick { peer, ban, reason } => {
                let dismissal = Dismissal { by: named(app), peer, ban, reason };
                owner.room.may_dismiss(&dismissal)?;
                Ok(Input::Dismiss(dismissal))
            }
        }
    }
}

/// The app in a list of those who banned somebody.
fn named(app: &ApiKeyId) -> PeerId {
    app.as_str().parse().expect("all ids have one alphabet and one length")
}

impl Handler<Order> for RoomActor {
    type Result = ResponseFuture<Result<(), ErrorCode>>;

    fn handle(&mut self, Order { app, order }: Order, ctx: &mut Context<Self>) -> Self::Result {
        if matches!(self.role, Role::Owner(_)) {
            let input = self.input_of(&app, order);
            return now(input.map(|input| self.take(input, ctx)));
        }
        later(self.ask(Question::App { app, order }), |answer| match answer {
            Answer::Done {} => Some(()),
            Answer::Facts { .. }
            | Answer::Password { .. }
            | Answer::Admitted { .. }
            | Answer::Refused { .. } => None,
        })
    }
}
