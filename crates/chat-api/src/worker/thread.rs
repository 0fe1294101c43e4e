//! The thread that owns the model.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::handle::Shared;
use super::job::{CancelFlag, ChatJob, ChatNews, Job, RunJob, RunNews};
use super::queue::ClientKey;
use super::stop_text::StopText;
use crate::model::{ChatAnswer, ChatModel, FinishReason, ModelError, RunStep};

/// Answers until the queue is closed.
pub(super) fn work<M: ChatModel>(mut model: M, shared: &Shared<M::Run>, max_batch: usize) {
    while let Some((client, id, job)) = shared.next() {
        if job.is_cancelled() {
            job.give_up();
            continue;
        }
        match job {
            Job::Chat(first) => {
                let mut batch = vec![*first];
                if max_batch > 1 {
                    let others = shared.joining(max_batch - 1, |other| match other {
                        Job::Chat(other) => {
                            !other.cancel.is_set() && model.can_join(&batch[0].request, &other.request)
                        }
                        Job::Run(..) => false,
                    });
                    batch.extend(others.into_iter().filter_map(|job| match job {
                        Job::Chat(job) => Some(*job),
                        Job::Run(..) => None,
                    }));
                }
                shared.metrics().batch(batch.len());
                shared.set_active(batch.len());
                answer(&mut model, batch, shared);
                shared.set_active(0);
            }
            Job::Run(job, run) => {
                shared.set_active(1);
                step(&mut model, shared, (client, id), job, run);
                shared.set_active(0);
            }
        }
    }
}

/// One request of a batch on its way.
struct Row {
    job: ChatJob,
    stop: StopText,
    out_of_time: bool,
}

impl Row {
    fn push(&mut self, text: &str) -> ControlFlow<()> {
        if self.job.cancel.is_set() || self.stop.is_hit() {
            return ControlFlow::Break(());
        }
        let certain = self.stop.push(text);
        if !certain.is_empty() && self.job.news.send(ChatNews::Text(certain)).is_err() {
            return ControlFlow::Break(());
        }
        self.out_of_time = Instant::now() >= self.job.deadline;
        if self.stop.is_hit() || self.out_of_time {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn finish(mut self, result: Result<ChatAnswer, ModelError>) {
        let result = result.map(|mut answer| {
            let rest = self.stop.finish();
            if !rest.is_empty() {
                let _ = self.job.news.send(ChatNews::Text(rest));
            }
            if self.stop.is_hit() {
                answer.finish = FinishReason::Stop;
            } else if self.out_of_time {
                answer.finish = FinishReason::Length;
            }
            answer
        });
        // Whoever waited may be gone.
        let _ = self.job.news.send(ChatNews::Done(result));
    }
}

fn answer<M: ChatModel>(model: &mut M, batch: Vec<ChatJob>, shared: &Shared<M::Run>) {
    let requests: Vec<_> = batch.iter().map(|job| job.request.clone()).collect();
    let mut rows: Vec<Row> = batch
        .into_iter()
        .map(|mut job| {
            let stop = StopText::new(std::mem::take(&mut job.stops));
            Row { job, stop, out_of_time: false }
        })
        .collect();
    let asked: Vec<_> = requests.iter().collect();
    let mut on_text = |row: usize, text: &str| match rows.get_mut(row) {
        Some(row) => row.push(text),
        None => ControlFlow::Break(()),
    };
    let results = catch_unwind(AssertUnwindSafe(|| model.answer(&asked, &mut on_text)));
    let mut results = results.unwrap_or_else(|_| {
        shared.metrics().panic();
        tracing::error!("the model panicked while it answered");
        Vec::new()
    });
    results.resize_with(rows.len(), || Err(ModelError::Failed { reason: "it gave no answer".to_owned() }));
    for (row, result) in rows.into_iter().zip(results) {
        if row.job.cancel.is_set() {
            shared.metrics().cancelled();
        }
        row.finish(result);
    }
}

/// One step of a run; it goes to the end of its client's line if there is more to do.
fn step<M: ChatModel>(
    model: &mut M,
    shared: &Shared<M::Run>,
    (client, id): (ClientKey, u64),
    job: Box<RunJob>,
    run: Option<M::Run>,
) {
    let stepped = catch_unwind(AssertUnwindSafe(|| {
        let mut run = match run {
            Some(run) => run,
            None => model.start_run(&Arc::clone(&job.study), &job.options)?,
        };
        let mut on_event = |event| {
            let is_wanted =
                !gave_up(&job.cancel, job.deadline) && job.news.send(RunNews::Event(event)).is_ok();
            if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let step = model.advance_run(&mut run, &mut on_event)?;
        Ok((run, step))
    }));
    let stepped = stepped.unwrap_or_else(|_| {
        shared.metrics().panic();
        tracing::error!("the model panicked during a run");
        Err(ModelError::Failed { reason: "it panicked".to_owned() })
    });
    let end = match stepped {
        Ok((run, RunStep::More)) if !gave_up(&job.cancel, job.deadline) => {
            shared.put_back(client, id, Job::Run(job, Some(run)));
            return;
        }
        Ok((_, RunStep::More)) => Err(ModelError::Stopped),
        Ok((_, RunStep::Done(report))) => Ok(report),
        Err(error) => Err(error),
    };
    // Whoever waited may be gone.
    let _ = job.news.send(RunNews::Done(end));
}

fn gave_up(cancel: &CancelFlag, deadline: Instant) -> bool {
    cancel.is_set() || Instant::now() >= deadline
}
