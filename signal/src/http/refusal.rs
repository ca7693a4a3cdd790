//! A refused request: a status, a stable code, one sentence.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use causeway_protocol::rest::ApiError;
use causeway_protocol::token::AppTokenError;
use causeway_protocol::{CloseCode, ErrorCode};

use crate::limits::TooMany;
use crate::metrics;
use crate::password::HashError;
use crate::rooms::NotMade;

/// Why a request is refused; answered as [`ApiError`].
#[derive(Clone, Debug)]
pub(crate) struct Refusal(ApiError);

impl Refusal {
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self(ApiError::new(code))
    }

    /// The code, and after how many seconds to try again.
    pub(crate) fn until(code: ErrorCode, retry_after_seconds: u64) -> Self {
        Self(ApiError { retry_after_seconds: Some(retry_after_seconds), ..ApiError::new(code) })
    }

    /// The code with a sentence that knows more than the code's own.
    pub(crate) fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ApiError { code, message: message.into(), retry_after_seconds: None })
    }
}

impl Refusal {
    pub(crate) const fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// How a socket is closed that asked for the same.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self.0.code {
            ErrorCode::RoomNotFound => CloseCode::RoomNotFound,
            ErrorCode::RoomFull => CloseCode::RoomFull,
            ErrorCode::RoomLocked => CloseCode::RoomLocked,
            ErrorCode::RateLimited => CloseCode::RateLimited,
            ErrorCode::Kicked | ErrorCode::Banned | ErrorCode::EntryDenied => CloseCode::Kicked,
            // A client that comes back by itself finds a server that can, or another.
            ErrorCode::Internal | ErrorCode::Unavailable | ErrorCode::Degraded => CloseCode::Internal,
            ErrorCode::BadJson
            | ErrorCode::BadMessage
            | ErrorCode::VersionUnsupported
            | ErrorCode::TokenInvalid
            | ErrorCode::TokenExpired
            | ErrorCode::PasswordRequired
            | ErrorCode::PasswordWrong
            | ErrorCode::InviteInvalid
            | ErrorCode::OriginRefused
            | ErrorCode::NotAllowed
            | ErrorCode::NotFound
            | ErrorCode::MethodNotAllowed
            | ErrorCode::PeerNotFound
            | ErrorCode::RoomTaken
            | ErrorCode::StateFull
            | ErrorCode::ResumeRefused
            | ErrorCode::TooLarge
            | ErrorCode::UnsupportedMediaType => CloseCode::TokenRefused,
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        metrics::refused(self.0.code.as_str());
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.0.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.json(&self.0)
    }
}

impl From<TooMany> for Refusal {
    fn from(TooMany { retry_after }: TooMany) -> Self {
        // Rounded up, so that who obeys is not refused again.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self(ApiError { retry_after_seconds: Some(seconds), ..ApiError::new(ErrorCode::RateLimited) })
    }
}

impl From<AppTokenError> for Refusal {
    fn from(error: AppTokenError) -> Self {
        Self::because(error.code(), sentence(&error.to_string()))
    }
}

impl From<NotMade> for Refusal {
    fn from(refused: NotMade) -> Self {
        match refused {
            NotMade::NotAllowed => Self::because(
                ErrorCode::NotAllowed,
                "This key makes no rooms (may_create_rooms); join one that is open.",
            ),
            NotMade::TooMany(too_many) => too_many.into(),
            NotMade::AppFull => Self::because(
                ErrorCode::Unavailable,
                "This key has as many rooms open as it may (max_rooms); end one.",
            ),
            NotMade::Full | NotMade::Unreachable => Self::new(ErrorCode::Unavailable),
            NotMade::Taken => Self::new(ErrorCode::RoomTaken),
        }
    }
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl From<HashError> for Refusal {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::new(ErrorCode::Unavailable),
            HashError::Failed => {
                tracing::error!(%error, "a room's password could not be hashed or checked");
                Self::new(ErrorCode::Internal)
            }
        }
    }
}

impl From<actix::MailboxError> for Refusal {
    fn from(_room_over: actix::MailboxError) -> Self {
        Self::new(ErrorCode::Unavailable)
    }
}
