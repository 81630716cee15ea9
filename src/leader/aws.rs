//! The fence in front of AWS: a layer that belongs directly around the transport, below limiters and retries, so
//! that every attempt asks anew.

use super::fence::Fence;
use aws_api::classify::was_throttled;
use aws_api::{Attempt, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use tower::{Service, ServiceExt, service_fn, util::BoxCloneSyncService};

/// A transport that sends what changes something only while this process leads, with the attempt's time-out left.
/// What carries no [`Attempt`] is refused: nobody could tell whether it changes anything.
pub fn fence_aws(transport: Transport, fence: Fence) -> Transport {
    BoxCloneSyncService::new(service_fn(move |request| attempt(transport.clone(), fence.clone(), request)))
}

async fn attempt(
    mut transport: Transport,
    fence: Fence,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, TransportError> {
    let Some(attempt) = request.extensions().get::<Attempt>().copied() else {
        return Err(TransportError::Refused(
            "the request doesn't say whether it changes anything (no Attempt in its extensions)".to_owned(),
        ));
    };
    if !attempt.mutates {
        return transport.ready().await?.call(request).await;
    }
    // Whoever waits for the answer gives up when the attempt's time is over, and takes the request for sent then: it
    // is told before that nothing was sent.
    let begun = tokio::time::timeout(attempt.timeout / 2, async {
        transport.ready().await?;
        fence.begin_when_fresh(attempt.timeout).await.map_err(|why| TransportError::Refused(why.to_string()))
    });
    let flight = begun
        .await
        .unwrap_or_else(|_| Err(TransportError::NotSent("the Lease was not renewed in time for it".to_owned())))?;
    let answer = tokio::time::timeout(attempt.timeout, transport.call(request))
        .await
        .unwrap_or_else(|_| Err(TransportError::Lost("no answer in time".to_owned())));
    let known = match &answer {
        // EC2 says "slow down" as a 503, too; any other server error leaves it open.
        Ok(response) => !response.status().is_server_error() || was_throttled(attempt.service, response.body()),
        Err(TransportError::NotSent(_) | TransportError::Refused(_)) => true,
        Err(TransportError::Lost(_)) => false,
    };
    if known {
        flight.answered();
    }
    answer
}
