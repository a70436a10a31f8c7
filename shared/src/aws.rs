//! What errors of AWS's services mean to us.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::Error;

/// What a failed call means: the service is away, slow or overloaded, or we asked for something wrong.
pub(crate) fn fault<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let away = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(service) => {
            service.raw().status().is_server_error()
                || matches!(
                    service.err().code(),
                    Some(
                        "ProvisionedThroughputExceededException"
                            | "RequestLimitExceeded"
                            | "ThrottlingException"
                            | "TransactionInProgressException"
                    )
                )
        }
        _ => false,
    };
    // What the service says, and not the whole error: that can hold the item that made a condition fail.
    let text = match error.as_service_error() {
        Some(said) => format!("{}: {}", said.code().unwrap_or("no code"), said.message().unwrap_or("no message")),
        None => DisplayErrorContext(&error).to_string(),
    };
    if away { Error::Unavailable(text) } else { Error::Internal(text) }
}
