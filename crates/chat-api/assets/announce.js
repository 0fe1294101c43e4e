// Words for people: what happened, for screens and for screen readers.

const live = () => document.getElementById("live");

/** Says something to screen readers. */
export function announce(words) {
  live().textContent = "";
  // A change is what is read, so the same words twice need a gap.
  requestAnimationFrame(() => { live().textContent = words; });
}

/** Shows what went wrong, until it is closed or something goes well. */
export function showProblem(error) {
  document.getElementById("problem-words").textContent = wordsFor(error);
  document.getElementById("problem").hidden = false;
}

export function hideProblem() {
  document.getElementById("problem").hidden = true;
}

const WORDS = {
  queue_full: "The model is busy with others. Please ask again in a moment.",
  memory_full: "The server holds as many studies as it may. Close a study, or try again later.",
  too_many_studies: "The server holds as many studies as it may. Close a study, or try again later.",
  no_such_study: "The server does not have this study any more. Please open it again.",
  not_run: "The server does not have these findings any more. Please look at the whole study again.",
  unknown_format: "None of these files is a DICOM, NIfTI, PNG or JPEG file.",
  timeout: "The answer took too long. Please try again.",
  stopped: "The request was stopped.",
  shutting_down: "The server is about to end.",
  unreachable: "The server cannot be reached. Is it still running?",
  context_length_exceeded: "The conversation has become too long for the model. Restart it.",
};

/** An error in plain words. */
export function wordsFor(error) {
  return WORDS[error?.code] ?? error?.message ?? "Something went wrong.";
}
