//! What an app does with a room that it made, on whichever node that lives.

use actix::{Context, Handler, Message, ResponseFuture};
use causeway_protocol::ErrorCode;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::node::{Answer, Question};
use causeway_signal_core::{Ending, Input};

use super::{Role, RoomActor, later, now};

/// The app with this key ends the room, if it is one of its own.
#[derive(Message)]
#[rtype(result = "Result<(), ErrorCode>")]
pub(crate) struct EndForApp(pub(crate) ApiKeyId);

impl Handler<EndForApp> for RoomActor {
    type Result = ResponseFuture<Result<(), ErrorCode>>;

    fn handle(&mut self, EndForApp(app): EndForApp, ctx: &mut Context<Self>) -> Self::Result {
        if let Role::Owner(owner) = &self.role {
            let may = owner.is_of(&app);
            if may.is_ok() {
                self.take(Input::End(Ending::Closed), ctx);
            }
            return now(may);
        }
        later(self.ask(Question::End { app }), |answer| match answer {
            Answer::Done {} => Some(()),
            Answer::Facts { .. }
            | Answer::Password { .. }
            | Answer::Admitted { .. }
            | Answer::Refused { .. } => None,
        })
    }
}
