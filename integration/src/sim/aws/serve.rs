//! The ways in: a transport for a client in the same process, and HTTP/1.1 on a socket for others.

use std::fmt;
use std::net::SocketAddr;

use aws_api::{Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Context as _, Result};
use crate::sim::event::Actor;

use super::Aws;

/// The largest request: a batch of 32,000 characters in 1,000 changes has less.
const MOST: usize = 8 * 1024 * 1024;

/// There is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// There was no connection.
    NotSent,
    /// The connection broke.
    Lost,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoAnswer::NotSent => "no connection, by the simulation",
            NoAnswer::Lost => "reset, by the simulation",
        })
    }
}

impl std::error::Error for NoAnswer {}

/// A server on a socket. It ends when dropped.
#[derive(Debug)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// What clients are given as the endpoint of all services, and of the metadata service.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Aws {
    /// The way of a client in this process. `via` is the process: who sends what isn't signed.
    pub fn transport(&self, via: Actor) -> Transport {
        let aws = self.clone();
        Transport::new(tower::service_fn(move |request: Request<Bytes>| {
            let aws = aws.clone();
            async move {
                aws.exchange(via, request).await.map_err(|why| match why {
                    NoAnswer::NotSent => TransportError::NotSent(why.to_string()),
                    NoAnswer::Lost => TransportError::Lost(why.to_string()),
                })
            }
        }))
    }

    /// Serves all services on one socket, for clients in other processes. A fault without an answer ends the
    /// connection; one without an end keeps it silent until the client gives up.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve_on(&self, listener: TcpListener, via: Actor) -> Result<Server> {
        let address = listener.local_addr().context("the simulator's socket")?;
        let aws = self.clone();
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let aws = aws.clone();
                        connections.spawn(async move {
                            let service = service_fn(move |request| answer(aws.clone(), via, request));
                            // An error is a connection that a fault has ended.
                            let _ = hyper::server::conn::http1::Builder::new()
                                .serve_connection(TokioIo::new(stream), service)
                                .await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Server { address, task })
    }
}

async fn answer(
    aws: Aws,
    via: Actor,
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, NoAnswer> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MOST).collect().await.map_err(|_| NoAnswer::Lost)?.to_bytes();
    let answer = aws.exchange(via, Request::from_parts(parts, body)).await?;
    Ok(answer.map(Full::new))
}
