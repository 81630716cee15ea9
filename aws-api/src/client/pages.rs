//! Listings, page by page or whole: part of one never passes for all of it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::stream::{Stream, TryStreamExt, try_unfold};

use super::Client;
use crate::error::{Class, Error};
use crate::operation::{Encoded, Operation, Paged};

/// A listing with more pages than this never ends: 10,000 records of a zone are 34 pages, 100,000 instances 100.
const MAX_PAGES: usize = 2_000;

impl Client {
    /// All pages of a listing.
    ///
    /// # Errors
    /// When a page fails, or the listing goes in circles or doesn't end: part of a listing is never returned.
    pub async fn pages<O: Paged>(&self, first: O) -> Result<Vec<O::Output>, Error> {
        self.stream(first).try_collect().await
    }

    /// The pages of a listing, each asked for when it is wanted; no more than one is held. A page that fails, a
    /// listing that goes in circles or one that doesn't end is an error, and the last item: a listing is whole when
    /// the stream has ended without one, as `try_collect`, `try_fold` and `try_for_each` of `futures` see to.
    ///
    /// ```
    /// use aws_api::{Client, Error, ec2};
    /// use futures::TryStreamExt;
    ///
    /// async fn count(client: &Client) -> Result<usize, Error> {
    ///     let pages = client.stream(ec2::DescribeSecurityGroups::default());
    ///     pages.try_fold(0, |count, page| async move { Ok(count + page.security_groups.len()) }).await
    /// }
    /// ```
    pub fn stream<O: Paged>(&self, first: O) -> impl Stream<Item = Result<O::Output, Error>> + Send + use<O> {
        let listing = Listing { client: self.clone(), next: Some(first), asked: HashSet::new() };
        try_unfold(listing, |mut listing| async move {
            let page = listing.page().await?;
            Ok(page.map(|page| (page, listing)))
        })
    }
}

struct Listing<O> {
    client: Client,
    /// The request for the next page; none after the last one.
    next: Option<O>,
    /// Hashes of the requests that were made.
    asked: HashSet<u64>,
}

impl<O: Paged> Listing<O> {
    async fn page(&mut self) -> Result<Option<O::Output>, Error> {
        let Some(request) = self.next.take() else { return Ok(None) };
        let pages = self.asked.len();
        let what = if !self.asked.insert(fingerprint(&request)) {
            "a page token came back"
        } else if pages >= MAX_PAGES {
            "the listing doesn't end"
        } else {
            let page = self.client.send(&request).await?;
            self.next = request.next(&page);
            return Ok(Some(page));
        };
        let message = format!("{what} after {pages} pages");
        Err(Error::new(O::SERVICE, O::NAME, Class::Transient, message))
    }
}

fn fingerprint<O: Operation>(request: &O) -> u64 {
    let Encoded { path, query, body, .. } = request.encode();
    let mut hasher = DefaultHasher::new();
    (path, query, body).hash(&mut hasher);
    hasher.finish()
}
