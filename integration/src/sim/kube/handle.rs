//! One request from its arrival to its end: journal, fault, permission, effect, answer.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use super::answer::{Answer, Ending};
use super::faults::Twist;
use super::kinds::Resource;
use super::rbac::{User, Wish, authorize};
use super::route::{Asked, PatchKind, Route, Verb, route};
use super::select::Selection;
use super::serve::refused_connection;
use super::status::Status;
use super::store::Stored;
use super::write::{Done, Write};
use super::{Kube, discovery, list, tables, watch};
use crate::sim::event::{Actor, Event, Seam};
use crate::sim::fault::Fault;

/// A request that has arrived.
pub(super) struct Arrived {
    route: Route,
    user: Option<User>,
    body: Bytes,
    call: u64,
    fault: Option<Fault>,
    sent: Duration,
}

impl Kube {
    /// A request arrives.
    pub(super) async fn handle(self, user: Option<User>, parts: Parts, body: Bytes) -> Ending {
        let route = route(&parts);
        let (operation, target, mutates) = match &route {
            Route::Resource(asked) => (asked.operation(), asked.target(), asked.mutates()),
            Route::Discovery { path, .. } => ("kube:discover".to_owned(), path.clone(), false),
            Route::Nowhere(operation, _) => (operation.clone(), parts.uri.path().to_owned(), false),
        };
        let actor = user.as_ref().map_or(Actor::Person, |user| user.actor);
        let sent = self.elapsed();
        let (call, fault) = self.inner.stage.begin(actor, Seam::Kube, operation, target, mutates);
        self.finish(Arrived { route, user, body, call: call.number, fault, sent }).await
    }

    async fn finish(self, arrived: Arrived) -> Ending {
        let call = arrived.call;
        let broken = || Ending::Broken("connection reset by peer".into());
        let half = self.inner.options.latency / 2;
        match arrived.fault.clone() {
            Some(Fault::Unreachable) => {
                self.answered(call, None, None);
                return Ending::Broken(refused_connection().await);
            }
            Some(Fault::LostBefore) => {
                pause(half).await;
                self.answered(call, None, None);
                return broken();
            }
            Some(Fault::Hang { effect }) => {
                if effect {
                    pause(half).await;
                    self.act(&arrived);
                }
                self.answered(call, None, None);
                return Ending::Never;
            }
            Some(Fault::Late(delay)) => {
                pause(half).await;
                self.answered(call, None, None);
                let kube = self.clone();
                tokio::spawn(async move {
                    pause(delay).await;
                    kube.act(&arrived);
                });
                return broken();
            }
            Some(Fault::Refuse { status, code, retry_after }) => {
                pause(half).await;
                let mut refusal = Status::new(status, code, words(status, code));
                refusal.retry_after = retry_after;
                pause(half).await;
                self.answered(call, Some(status), Some(code));
                return Ending::Answer(Answer::refusal(&refusal).into_response());
            }
            Some(Fault::Slow(delay)) => pause(delay).await,
            _ => {}
        }
        pause(half).await;
        let answer = self.act(&arrived);
        if let Some(Fault::LostAfter) = arrived.fault {
            self.answered(call, None, None);
            return broken();
        }
        pause(half).await;
        if let Some(Fault::Garbled(garble)) = arrived.fault {
            let response = answer.garbled(garble);
            self.answered(call, Some(response.status().as_u16()), None);
            return Ending::Answer(response);
        }
        self.answered(call, Some(answer.status), answer.reason);
        Ending::Answer(answer.into_response())
    }

    fn answered(&self, call: u64, status: Option<u16>, code: Option<&'static str>) {
        self.inner.stage.journal.record(Event::Answered { call, status, code: code.map(str::to_owned) });
    }

    /// The effect, and what is to be answered.
    fn act(&self, arrived: &Arrived) -> Answer {
        let Some(user) = &arrived.user else { return Answer::refusal(&Status::unauthorized()) };
        let result = match &arrived.route {
            Route::Nowhere(_, status) => Err(status.clone()),
            Route::Discovery { path, accept } => discovery::answer(path, accept),
            Route::Resource(asked) if asked.resource == Resource::AccessReviews => self.review(user, arrived),
            Route::Resource(asked) => self.resource(asked, user, arrived),
        };
        result.unwrap_or_else(|status| Answer::refusal(&status))
    }

    fn resource(&self, asked: &Asked, user: &User, arrived: &Arrived) -> Result<Answer, Status> {
        let selection = Selection::parse(
            asked.resource,
            &asked.namespace,
            asked.parameter("labelSelector"),
            asked.parameter("fieldSelector"),
        );
        let named = match &selection {
            Ok(selection) if asked.name.is_empty() => selection.name().unwrap_or_default(),
            _ => &asked.name,
        };
        let rights = self.control().rights.clone();
        authorize(&rights, user, asked, named, asked.verb.name())?;
        let selection = selection?;
        match asked.verb {
            Verb::Get | Verb::List | Verb::Watch => self.read(asked, selection, arrived),
            Verb::DeleteCollection => self.delete_collection(asked, user, arrived, &selection),
            _ => self.write(asked, user, arrived),
        }
    }

    fn read(&self, asked: &Asked, selection: Selection, arrived: &Arrived) -> Result<Answer, Status> {
        let store = self.store();
        let twist = Twist::new(arrived.fault.as_ref(), &store, self.elapsed(), arrived.call);
        if asked.verb == Verb::Watch {
            let watch = watch::open(self, &store, asked, selection, twist)?;
            return Ok(Answer::stream(watch.into_body()));
        }
        if asked.verb == Verb::Get {
            let object = list::get(&store, asked, &twist)?;
            drop(store);
            return Ok(Answer::ok(200, self.shown(asked, &object, twist.undecodable)));
        }
        let listed = list::list(&store, asked, &selection, &twist, self.inner.options.page)?;
        drop(store);
        if tables::asked_for(&asked.accept) {
            return Ok(Answer::ok(200, tables::list(asked.resource, &listed, self.now()).to_string()));
        }
        Ok(Answer::ok(200, list::body(asked.resource, &listed, &twist)))
    }

    fn shown(&self, asked: &Asked, object: &Stored, undecodable: bool) -> String {
        if tables::asked_for(&asked.accept) {
            return tables::one(asked.resource, object, self.now()).to_string();
        }
        list::text(asked.resource, object, true, undecodable)
    }

    fn write(&self, asked: &Asked, user: &User, arrived: &Arrived) -> Result<Answer, Status> {
        let body: Value = if arrived.body.is_empty() {
            json!({})
        } else {
            parsed(&arrived.body, asked.verb == Verb::Patch(PatchKind::Apply))?
        };
        let in_body = asked.verb == Verb::Delete && body["dryRun"].as_array().is_some_and(|of| !of.is_empty());
        let (rights, hooks) = {
            let control = self.control();
            (control.rights.clone(), control.hooks.clone())
        };
        let write = Write {
            asked,
            user,
            call: Some(arrived.call),
            sent: arrived.sent,
            now: self.elapsed(),
            wall: self.wall(),
            dry_run: asked.dry_run() || in_body,
            hooks: &hooks,
            may_create: authorize(&rights, user, asked, &asked.name, "create"),
        };
        let done = {
            let mut store = self.store();
            match asked.verb {
                Verb::Create => write.create(&mut store, body),
                Verb::Update => write.update(&mut store, body),
                Verb::Patch(kind) => write.patch(&mut store, kind, &body),
                _ => write.delete(&mut store, &body),
            }?
        };
        self.tell(asked.resource, user.actor, Some(arrived.call), done.changed.as_deref());
        Ok(self.written(asked, &done))
    }

    fn written(&self, asked: &Asked, done: &Done) -> Answer {
        // Most kinds are deleted with no more than a word; Services are shown once more.
        if done.deleted && asked.resource != Resource::Services {
            let details = json!({
                "name": done.object.meta("name"), "kind": asked.resource.plural(), "uid": done.object.uid(),
            });
            let mut status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            });
            if !asked.resource.group().is_empty() {
                status["details"]["group"] = json!(asked.resource.group());
            }
            return Answer::ok(200, status.to_string());
        }
        Answer::ok(done.code, self.shown(asked, &done.object, false))
    }

    /// A change is told to watches and to the journal, after the store's lock is gone.
    pub(super) fn tell(&self, resource: Resource, actor: Actor, call: Option<u64>, changed: Option<&str>) {
        let Some(what) = changed else { return };
        self.store().tell(resource);
        let what = what.to_owned();
        self.inner.stage.journal.record(Event::Changed { call, actor, seam: Seam::Kube, what });
    }

    fn delete_collection(
        &self,
        asked: &Asked,
        user: &User,
        arrived: &Arrived,
        selection: &Selection,
    ) -> Result<Answer, Status> {
        let twist = Twist::default();
        let listed = list::list(&self.store(), asked, selection, &twist, None)?;
        for object in &listed.items {
            let one = Asked {
                verb: Verb::Delete,
                name: object.meta("name").to_owned(),
                namespace: object.meta("namespace").to_owned(),
                ..asked.clone()
            };
            match self.write(&one, user, arrived) {
                Ok(_) => {}
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
        Ok(Answer::ok(200, list::body(asked.resource, &listed, &twist)))
    }

    /// Answers what somebody may do.
    fn review(&self, user: &User, arrived: &Arrived) -> Result<Answer, Status> {
        let mut review = parsed(&arrived.body, false)?;
        let text = |pointer: &str| review.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let of = |name: &str| text(&format!("/spec/resourceAttributes/{name}"));
        let (verb, group, namespace, name) = (of("verb"), of("group"), of("namespace"), of("name"));
        let resource = match &*of("subresource") {
            "" => of("resource"),
            subresource => format!("{}/{subresource}", of("resource")),
        };
        let wish = Wish { verb: &verb, group: &group, resource: &resource, namespace: &namespace, name: &name };
        let allowed = self.control().rights.permits(user, wish);
        review["kind"] = json!("SelfSubjectAccessReview");
        review["apiVersion"] = json!("authorization.k8s.io/v1");
        review["status"] = json!({"allowed": allowed});
        Ok(Answer::ok(201, review.to_string()))
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// A body: JSON, or YAML where that is allowed.
fn parsed(body: &[u8], yaml: bool) -> Result<Value, Status> {
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(_) if yaml => {
            let text = std::str::from_utf8(body).unwrap_or_default();
            serde_saphyr::from_str(text).map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
        }
        Err(error) => Err(Status::bad_request(format!("error decoding the body: {error}"))),
    }
}

/// What the real one says with such a refusal.
fn words(status: u16, code: &str) -> String {
    match status {
        429 => "too many requests, please try again later".to_owned(),
        410 => "too old resource version".to_owned(),
        500 => "Internal error occurred: etcdserver: request timed out".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "Timeout: request did not complete within the allotted timeout".to_owned(),
        409 => "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest \
                version and try again"
            .to_owned(),
        _ => format!("{code}: refused by the simulation"),
    }
}
