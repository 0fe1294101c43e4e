// Ties the page together.

import { announce, hideProblem, showProblem } from "./announce.js";
import { call, callJson, callStudy, upload } from "./api.js";
import { Chat } from "./chat.js";
import { saveImage } from "./download.js";
import { showFindings } from "./findings.js";
import { listenForDrops } from "./intake.js";
import { Run } from "./run.js";
import { Viewer } from "./viewer.js";
import { PRESETS } from "./windows.js";

const byId = (id) => document.getElementById(id);
const on = (id, kind, action) => byId(id).addEventListener(kind, action);

const viewer = new Viewer();
const chat = new Chat(viewer);
const run = new Run(viewer);
let model = { structures: [], runs_studies: false, box_grid: 100 };

async function connect() {
  const { data } = await callJson("/v1/models");
  [model] = data;
  byId("model-name").textContent = `${model.id}: ${model.description}`;
  byId("temperature").value = model.default_temperature;
  showTemperature();
  byId("open-example").hidden = byId("empty-example").hidden = !model.has_example;
  byId("run-start").title = model.runs_studies ? "" : "This model cannot look at whole studies";
  byId("ask-organs").hidden = organs().length === 0;
  run.refresh(model.runs_studies);
}

const organs = () => model.structures.filter((name) => !/pancrea|tumor/.test(name));

/** Does something that takes long, and says so. */
async function busy(words, work) {
  byId("busy").hidden = false;
  byId("busy-words").textContent = words;
  byId("busy-bar").hidden = true;
  try {
    return await work();
  } finally {
    byId("busy").hidden = true;
  }
}

/** Opens a study by what gives it, an upload or the example; that gives it again where the server loses it. */
async function open(words, give) {
  hideProblem();
  try {
    const before = viewer.study;
    const given = await busy(words, give);
    const study = before?.id === given.id ? Object.assign(before, given) : given;
    study.give = () => busy(words, give);
    if (before && before !== study) forget(before);
    run.reset();
    chat.stopAnswer();
    await viewer.open(study);
    describe(study);
    if (study.has_findings) {
      const found = await (await callStudy(study, (id) => `/v1/studies/${id}/findings`)).json();
      found.slices.forEach((score) => run.slice(score));
      showFindings(viewer, found);
    }
    announce(`A study is open: ${byId("study-facts").textContent}`);
    viewer.stage.focus();
  } catch (error) {
    showProblem(error);
  } finally {
    chat.refresh();
    run.refresh();
    run.drawStrip();
  }
}

function describe(study) {
  const spacing = study.spacing_mm ? `, ${study.spacing_mm.map((mm) => mm.toFixed(2)).join(" × ")} mm` : "";
  const kind = { dicom: "DICOM", nifti: study.example ? "Example (synthetic)" : "NIfTI", images: "Pictures" }[study.kind];
  byId("study-facts").textContent = `${kind}: ${study.columns} × ${study.rows} px, ${study.slices} ${study.slices === 1 ? "slice" : "slices"}${spacing}`;
  byId("study-warnings").replaceChildren(...study.warnings.map((warning) => Object.assign(document.createElement("li"), { textContent: warning.message })));
  byId("study-close").hidden = false;
}

function forget(study) {
  if (!study.example) call(`/v1/studies/${study.id}`, { method: "DELETE" }).catch(() => {});
}

async function close() {
  if (viewer.study) forget(viewer.study);
  run.reset();
  chat.restart();
  await viewer.open(null);
  viewer.describe();
  byId("study-facts").textContent = "none is open";
  byId("study-warnings").replaceChildren();
  byId("study-close").hidden = true;
  chat.refresh();
  run.refresh();
  run.drawStrip();
  announce("The study is closed.");
}

function openFiles(files) {
  if (!files.length) return;
  const onProgress = (done) => {
    byId("busy-bar").hidden = false;
    byId("busy-bar").value = done;
    byId("busy-words").textContent = done < 1 ? `Sending ${files.length === 1 ? "a file" : `${files.length} files`} …` : "Reading …";
  };
  open("Sending …", () => upload(files, onProgress));
}

const openExample = () => open("Making the example study …", async () => (await call("/v1/studies/example", { method: "POST" })).json());

function showTemperature() {
  byId("temperature-words").textContent = Number(byId("temperature").value).toFixed(1);
}

function submit() {
  const field = byId("question");
  const words = field.value.trim();
  if (!words || chat.isBusy || !viewer.study) return;
  const tag = byId("tag").value;
  field.value = "";
  chat.ask(tag && !words.startsWith("[") ? `${tag} ${words}` : words);
}

/** The box in the numbers of the model's grid. */
function gridBox({ box, columns, rows }) {
  const [x1, y1, x2, y2] = box;
  const number = (value, side) => Math.round(value / side * model.box_grid);
  return `{<${number(x1, columns)}><${number(y1, rows)}><${number(x2, columns)}><${number(y2, rows)}>}`;
}

on("pick-files", "click", () => byId("file-input").click());
on("empty-files", "click", () => byId("file-input").click());
on("pick-folder", "click", () => byId("folder-input").click());
for (const id of ["file-input", "folder-input"]) {
  on(id, "change", (event) => {
    openFiles([...event.target.files]);
    event.target.value = "";
  });
}
on("open-example", "click", openExample);
on("empty-example", "click", openExample);
listenForDrops(viewer.stage, openFiles);
on("problem-close", "click", hideProblem);
on("show-help", "click", () => byId("help").showModal());
on("study-close", "click", close);

on("slice", "input", (event) => viewer.show(Number(event.target.value)));
on("slice-down", "click", () => viewer.show(viewer.slice - 1));
on("slice-up", "click", () => viewer.show(viewer.slice + 1));
on("zoom-in", "click", () => viewer.zoomBy(1.25));
on("zoom-out", "click", () => viewer.zoomBy(0.8));
on("zoom-reset", "click", () => viewer.resetView());
on("presets", "change", (event) => viewer.setWindow(PRESETS[event.target.value]));
on("drags", "change", (event) => viewer.setDrag(event.target.value));
on("show-boxes", "change", (event) => {
  viewer.showBoxes = event.target.checked;
  viewer.draw();
  viewer.describe();
});
on("save-image", "click", () => saveImage(viewer).catch(showProblem));

on("run-start", "click", () => run.start());
on("run-stop", "click", () => run.stopRun());

on("composer", "submit", (event) => {
  event.preventDefault();
  submit();
});
on("question", "keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  }
});
on("stop", "click", () => chat.stopAnswer());
on("restart", "click", () => chat.restart());
on("save-chat", "click", () => chat.saveAll());
on("temperature", "input", showTemperature);
for (const button of document.querySelectorAll("[data-ask]")) {
  button.addEventListener("click", () => chat.ask(button.dataset.ask));
}
on("ask-organs", "click", async () => {
  for (const organ of organs()) await chat.ask(`[refer] give me the location of the ${organ}`);
});
on("ask-identify", "click", () => viewer.startBox());
viewer.addEventListener("box", (event) => {
  if (chat.isBusy) return;
  const question = `[identify] what is this ${gridBox(event.detail)}`;
  viewer.setDrag("window");
  chat.ask(question);
});

chat.refresh();
connect().catch(showProblem);
