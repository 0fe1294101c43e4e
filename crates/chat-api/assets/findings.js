// What a run found: a list that leads to slices, and files to keep.

import { colorOf } from "./colors.js";
import { saveFrom } from "./download.js";
import { showProblem } from "./announce.js";

const byId = (id) => document.getElementById(id);

/** Shows findings, or hides the list where there are none. */
export function showFindings(viewer, found) {
  byId("findings").hidden = !found;
  byId("findings-list").replaceChildren();
  byId("exports").replaceChildren();
  if (!found) return;
  const score = found.tumor_score == null ? "" : `Score for a tumor anywhere: ${found.tumor_score.toFixed(2)}. `;
  byId("findings-score").textContent = `${score}${found.note[0].toUpperCase()}${found.note.slice(1)}.`;
  for (const finding of found.findings) byId("findings-list").append(row(viewer, finding));
  const { study } = viewer;
  link(study, "findings.json", (id) => `/v1/studies/${id}/findings`);
  for (const name of found.exports) link(study, name, (id) => `/v1/studies/${id}/exports/${name}`);
}

function row(viewer, finding) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const dot = Object.assign(document.createElement("span"), { className: "dot" });
  dot.style.background = colorOf(finding.label);
  const sure = finding.confidence == null ? "" : `${Math.round(finding.confidence * 100)} %`;
  const size = finding.size_mm ? `, ${finding.size_mm.map((mm) => mm.toFixed(0)).join(" × ")} mm` : "";
  const words = document.createElement("span");
  const small = document.createElement("small");
  small.textContent = ` slices ${finding.first_slice + 1} to ${finding.last_slice + 1}${size}`;
  words.append(finding.label, small);
  button.append(dot, words, sure);
  button.onclick = async () => {
    await viewer.show(finding.key_slice);
    viewer.addBoxes(finding.key_slice, `finding-${finding.label}`, [finding]);
    viewer.stage.focus();
  };
  item.append(button);
  return item;
}

function link(study, name, path) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: `⤓ ${name}` });
  button.setAttribute("aria-label", `Download ${name}`);
  button.onclick = () => saveFrom(study, path, name).catch(showProblem);
  byId("exports").append(button);
}
