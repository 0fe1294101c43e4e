//! Numbers for Prometheus. Labels are route templates and codes of this program, nothing of a request.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// The server's numbers; each server has its own, none is global.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    queue_depth: Gauge,
    active: Gauge,
    studies: Gauge,
    memory: Gauge,
    connections: Gauge,
    batch: Histogram,
    first_text: Histogram,
    answer: Histogram,
    cancelled: Counter,
    panics: Counter,
    prompt_tokens: Counter,
    completion_tokens: Counter,
}

const META: Metadata<'static> = Metadata::new("chat_api", Level::INFO, Some("chat_api"));
const SECONDS: [f64; 12] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        // Refused only where the list is empty.
        if let Ok(with) = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|b| {
                b.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &[1.0, 2.0, 4.0, 8.0, 16.0])
            })
        {
            builder = with;
        }
        let recorder = builder.build_recorder();
        let about = |name: &'static str, unit: Option<Unit>, words: &'static str| {
            recorder.describe_gauge(KeyName::from_const_str(name), unit, words.into());
        };
        about("chat_queue_depth", None, "Requests that wait for the model.");
        about("chat_active_requests", None, "Requests that the model is answering.");
        about("chat_studies", None, "Studies held.");
        about("chat_memory_bytes", Some(Unit::Bytes), "Bytes held for studies and bodies.");
        about("chat_connections", None, "Open connections.");
        let count = |name: &'static str, words: &'static str| {
            recorder.describe_counter(KeyName::from_const_str(name), None, words.into());
            recorder.register_counter(&Key::from_static_name(name), &META)
        };
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &META);
        let histogram = |name: &'static str, words: &'static str| {
            recorder.describe_histogram(KeyName::from_const_str(name), None, words.into());
            recorder.register_histogram(&Key::from_static_name(name), &META)
        };
        Self {
            queue_depth: gauge("chat_queue_depth"),
            active: gauge("chat_active_requests"),
            studies: gauge("chat_studies"),
            memory: gauge("chat_memory_bytes"),
            connections: gauge("chat_connections"),
            batch: histogram("chat_batch_size", "Requests answered together."),
            first_text: histogram("chat_first_text_seconds", "From a chat's arrival to its first text."),
            answer: histogram("chat_answer_seconds", "From a chat's arrival to its end."),
            cancelled: count("chat_cancelled_total", "Requests whose client went away."),
            panics: count("chat_panics_total", "Panics caught."),
            prompt_tokens: count("chat_prompt_tokens_total", "Tokens of prompts."),
            completion_tokens: count("chat_completion_tokens_total", "Tokens of answers."),
            recorder,
        }
    }

    /// One request answered. `route` is a template of this program.
    pub(crate) fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = vec![
            Label::from_static_parts("method", method),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let key = Key::from_parts("http_requests_total", labels);
        self.recorder.register_counter(&key, &META).increment(1);
        let key = Key::from_parts("http_request_seconds", vec![Label::new("route", route.to_owned())]);
        self.recorder.register_histogram(&key, &META).record(took.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    pub(crate) fn queue_depth(&self, n: usize) {
        self.queue_depth.set(n as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    pub(crate) fn active(&self, n: usize) {
        self.active.set(n as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    pub(crate) fn batch(&self, n: usize) {
        self.batch.record(n as f64);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.increment(1.0);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.decrement(1.0);
    }

    pub(crate) fn first_text(&self, after: Duration) {
        self.first_text.record(after.as_secs_f64());
    }

    pub(crate) fn answered(&self, after: Duration, prompt_tokens: usize, completion_tokens: usize) {
        self.answer.record(after.as_secs_f64());
        self.prompt_tokens.increment(prompt_tokens as u64);
        self.completion_tokens.increment(completion_tokens as u64);
    }

    pub(crate) fn cancelled(&self) {
        self.cancelled.increment(1);
    }

    pub(crate) fn panic(&self) {
        self.panics.increment(1);
    }

    /// Everything as text.
    #[expect(clippy::cast_precision_loss, reason = "sizes for a chart")]
    pub(crate) fn render(&self, n_studies: usize, memory_bytes: u64) -> String {
        self.studies.set(n_studies as f64);
        self.memory.set(memory_bytes as f64);
        self.recorder.handle().render()
    }

    /// Folds what was measured into its buckets, so that a server that nobody watches stays small.
    pub(crate) fn upkeep(&self) {
        self.recorder.handle().run_upkeep();
    }
}
