// A whole study: progress, scores along the slices, findings.

import { announce, showProblem } from "./announce.js";
import { callStudy, jsonPost } from "./api.js";
import { showFindings } from "./findings.js";
import { events } from "./sse.js";

const byId = (id) => document.getElementById(id);

export class Run {
  constructor(viewer) {
    this.viewer = viewer;
    this.scores = new Map();
    this.abort = null;
    new ResizeObserver(() => this.drawStrip()).observe(byId("strip"));
    viewer.addEventListener("slice", () => this.drawStrip());
    byId("strip").addEventListener("click", (event) => {
      const n = this.viewer.study?.slices ?? 0;
      if (n) this.viewer.show(Math.floor(event.offsetX / byId("strip").clientWidth * n));
    });
  }

  reset() {
    this.abort?.abort();
    this.scores = new Map();
    showFindings(this.viewer, null);
    byId("run-progress").hidden = true;
    this.drawStrip();
  }

  async start() {
    const { study } = this.viewer;
    if (!study || this.abort) return;
    this.reset();
    this.viewer.clearBoxes((source) => !["run"].includes(source) && !source.startsWith("finding-"));
    this.abort = new AbortController();
    this.refresh();
    byId("run-progress").hidden = false;
    byId("run-words").textContent = "waiting for the model …";
    byId("run-bar").removeAttribute("value");
    try {
      const asked = jsonPost({ organs: byId("run-organs").checked, anonymize: byId("run-anonymize").checked }, this.abort.signal);
      const response = await callStudy(study, (id) => `/v1/studies/${id}/run`, () => asked);
      for await (const { event, data } of events(response)) this.take(event, JSON.parse(data), study);
    } catch (error) {
      if (error.name !== "AbortError") showProblem(error);
      byId("run-progress").hidden = true;
    } finally {
      this.abort = null;
      this.refresh();
    }
  }

  stopRun() {
    this.abort?.abort();
    announce("The run was stopped.");
  }

  take(event, data, study) {
    if (study !== this.viewer.study) return;
    if (event === "stage") byId("run-words").textContent = data.stage;
    if (event === "progress") {
      byId("run-bar").value = data.done / data.total;
      byId("run-words").textContent = `${data.done} of ${data.total}`;
    }
    if (event === "slice") this.slice(data);
    if (event === "error") throw data.error;
    if (event === "done") {
      data.slices.forEach((score) => this.slice(score));
      byId("run-progress").hidden = true;
      showFindings(this.viewer, data);
      announce(`The run is done: ${data.findings.length} findings.`);
    }
    this.drawStrip();
  }

  slice(score) {
    this.scores.set(score.slice, score.tumor_score);
    this.viewer.addBoxes(score.slice, "run", score.boxes);
  }

  /** A bar a slice, as high as its score; the slice in view is marked. */
  drawStrip() {
    const canvas = byId("strip");
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const n = this.viewer.study?.slices ?? 0;
    if (!n) return;
    const style = getComputedStyle(document.documentElement);
    const step = width / n;
    let best = null;
    for (const [slice, score] of this.scores) {
      if (score == null) continue;
      if (best === null || score > this.scores.get(best)) best = slice;
      context.fillStyle = score >= 0.5 ? "#ff6f91" : style.getPropertyValue("--accent");
      const tall = Math.max(1, score * (height - 4));
      context.fillRect(slice * step, height - tall, Math.max(step - 1, 0.7), tall);
    }
    context.fillStyle = style.getPropertyValue("--text");
    context.fillRect(this.viewer.slice * step + step / 2 - 1, 0, 2, height);
    const words = best === null ? "No slice scores yet" : `Tumor score of each slice; the highest is ${this.scores.get(best).toFixed(2)} on slice ${best + 1}`;
    canvas.setAttribute("aria-label", words);
  }

  refresh(canRun = this.canRun) {
    this.canRun = canRun;
    byId("run-start").disabled = !this.viewer.study || !canRun || this.abort !== null;
    byId("run-stop").hidden = this.abort === null;
  }
}
