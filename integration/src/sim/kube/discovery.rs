//! What is served: the answers that clients ask for before they ask for anything.

use super::answer::Answer;
use super::status::Status;

pub(super) fn answer(path: &str, _accept: &str) -> Result<Answer, Status> {
    match path {
        "/livez" | "/readyz" | "/healthz" => Ok(Answer::ok(200, "ok".to_owned())),
        _ => Ok(Answer::text(404, "404 page not found\n")),
    }
}
