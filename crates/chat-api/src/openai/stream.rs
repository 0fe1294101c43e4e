//! An answer as it comes, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;

use super::routes::Asked;
use crate::grounding::boxes_of;
use crate::model::ChatAnswer;
use crate::worker::ChatNews;

/// Between two signs of life on a line that has nothing to say.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Ends every stream.
const DONE: &str = "[DONE]";

/// Where a stream is.
struct Line {
    ready: VecDeque<Event>,
    /// None once the answer is over.
    asked: Option<Asked>,
    text: String,
}

/// Streams an answer.
pub(super) fn reply(asked: Asked) -> Response {
    let ready = VecDeque::from([event(&asked.frame.first())]);
    let line = Line { ready, asked: Some(asked), text: String::new() };
    Sse::new(events(line)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn events(line: Line) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(line, |mut line| async {
        loop {
            if let Some(event) = line.ready.pop_front() {
                return Some((Ok(event), line));
            }
            let mut asked = line.asked.take()?;
            match asked.next().await {
                Ok(ChatNews::Text(text)) => {
                    // JSON is sent whole: pieces of the model's text are none of it.
                    if asked.format.is_text() {
                        line.ready.push_back(event(&asked.frame.text(text.clone())));
                    }
                    line.text.push_str(&text);
                    line.asked = Some(asked);
                }
                Ok(ChatNews::Done(Ok(answer))) => line.finish(&asked, answer),
                Ok(ChatNews::Done(Err(error))) => line.fail(error.into()),
                Err(error) => line.fail(error),
            }
        }
    })
}

impl Line {
    fn finish(&mut self, asked: &Asked, mut answer: ChatAnswer) {
        asked.count(&answer);
        answer.text = std::mem::take(&mut self.text);
        let boxes = boxes_of(&asked.request, &answer, asked.app.card.box_format);
        let frame = &asked.frame;
        if !asked.format.is_text() {
            self.ready.push_back(event(&frame.text(asked.format.content(&answer, &boxes))));
        }
        self.ready.push_back(event(&frame.last(&answer, &boxes)));
        if asked.with_usage {
            self.ready.push_back(event(&frame.usage(answer.usage)));
        }
        self.ready.push_back(Event::default().data(DONE));
    }

    /// What goes wrong after the status was sent is told in the stream, as OpenAI's clients expect it.
    fn fail(&mut self, error: crate::http::ApiError) {
        self.ready.push_back(event(&error.body()));
        self.ready.push_back(Event::default().data(DONE));
    }
}

fn event(data: &impl Serialize) -> Event {
    // Fails only for data that are no JSON, such as maps with odd keys.
    Event::default().json_data(data).unwrap_or_default()
}
