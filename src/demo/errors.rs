//! Graph's error answers, as seen in its documentation and in traces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};

use super::answer::Answer;
use super::settings::Challenge;
use super::tokens::Rejection;
use crate::clock::Time;

/// An error answer; the envelope's ids and date are filled in when the answer is sent.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::error(status, code, message)
}

pub(super) fn no_photo() -> Answer {
    error(
        StatusCode::NOT_FOUND,
        "ImageNotFound",
        "Exception of type 'Microsoft.Fast.Profile.Core.Exception.ImageNotFoundException' was thrown.",
    )
}

pub(super) fn no_photo_before() -> Answer {
    error(
        StatusCode::NOT_FOUND,
        "ErrorItemNotFound",
        "The photo wasn't found.",
    )
}

pub(super) fn no_size_before() -> Answer {
    Answer::text(StatusCode::NOT_FOUND, "text/plain", "")
}

pub(super) fn no_such_owner(id: &str) -> Answer {
    error(
        StatusCode::NOT_FOUND,
        "Request_ResourceNotFound",
        &format!(
            "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
        ),
    )
}

pub(super) fn invalid_user(key: &str) -> Answer {
    error(
        StatusCode::NOT_FOUND,
        "ErrorInvalidUser",
        &format!("The requested user '{key}' is invalid."),
    )
}

pub(super) fn denied() -> Answer {
    error(
        StatusCode::FORBIDDEN,
        "ErrorAccessDenied",
        "Access is denied. Check credentials and try again.",
    )
}

pub(super) fn too_few_privileges() -> Answer {
    error(
        StatusCode::FORBIDDEN,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )
}

pub(super) fn me_needs_a_person() -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "BadRequest",
        "/me request is only valid with delegated authentication flow.",
    )
}

pub(super) fn consumer_not_supported() -> Answer {
    error(
        StatusCode::NOT_FOUND,
        "ConsumerPhotoIsNotSupported",
        "The photo wasn't found.",
    )
}

pub(super) fn unsupported_segment(target: &str) -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "BadRequest",
        &format!("Unsupported segment type. ODataQuery: {target}"),
    )
}

pub(super) fn unknown_segment(segment: &str) -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "BadRequest",
        &format!("Resource not found for the segment '{segment}'."),
    )
}

pub(super) fn method_not_allowed() -> Answer {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "Request_BadRequest",
        "Specified HTTP method is not allowed for the request target.",
    )
}

pub(super) fn too_narrow() -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "ValidationWidthTooSmall",
        "Exception of type 'Microsoft.Fast.Profile.Core.Exception.ProfileBadRequestException' was thrown.",
    )
}

pub(super) fn too_large() -> Answer {
    error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        "The request entity is larger than 4 MB.",
    )
}

pub(super) fn throttled() -> Answer {
    error(
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequests",
        "Please retry again later.",
    )
}

pub(super) fn too_many_at_once() -> Answer {
    error(
        StatusCode::TOO_MANY_REQUESTS,
        "ApplicationThrottled",
        "Application is over its MailboxConcurrency limit.",
    )
}

/// The answer with this status that a scripted fault asks for.
pub(super) fn by_status(status: StatusCode, challenge: Challenge, now: Time) -> Answer {
    match status {
        StatusCode::UNAUTHORIZED => unauthorized(Rejection::Unknown, challenge, now),
        StatusCode::FORBIDDEN => denied(),
        StatusCode::NOT_FOUND => no_photo(),
        StatusCode::TOO_MANY_REQUESTS => throttled(),
        StatusCode::BAD_GATEWAY => {
            error(status, "BadGateway", "Failed to execute backend request.")
        }
        StatusCode::SERVICE_UNAVAILABLE => error(
            status,
            "serviceNotAvailable",
            "The service is temporarily unavailable. Please retry the request later.",
        ),
        StatusCode::GATEWAY_TIMEOUT => error(status, "GatewayTimeout", "The request timed out."),
        _ => error(status, "UnknownError", ""),
    }
}

/// 401, with the plain challenge or the one of continuous access evaluation.
pub(super) fn unauthorized(why: Rejection, challenge: Challenge, now: Time) -> Answer {
    let message = match why {
        Rejection::Missing => "Access token is empty.",
        Rejection::Unknown => "Access token validation failure. Invalid signature.",
        Rejection::Expired => "Lifetime validation failed, the token is expired.",
        Rejection::Revoked => "Continuous access evaluation resulted in challenge.",
        Rejection::Audience => "Access token validation failure. Invalid audience.",
    };
    let text = match challenge {
        Challenge::Plain => "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"".to_owned(),
        Challenge::Claims => {
            let claims = format!(
                "{{\"access_token\":{{\"nbf\":{{\"essential\":true, \"value\":\"{}\"}}}}}}",
                now.unix_seconds()
            );
            format!(
                "Bearer realm=\"\", authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize, client_id=\"00000003-0000-0000-c000-000000000000\", error=\"insufficient_claims\", claims=\"{}\", errorDescription=\"Continuous access evaluation resulted in claims challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp\"",
                STANDARD.encode(claims)
            )
        }
    };
    error(
        StatusCode::UNAUTHORIZED,
        "InvalidAuthenticationToken",
        message,
    )
    .with(header::WWW_AUTHENTICATE, &text)
}
