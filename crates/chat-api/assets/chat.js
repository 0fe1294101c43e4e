// The conversation: questions, streamed answers, and what is drawn of them.

import { announce, wordsFor } from "./announce.js";
import { placeWords, plainText, renderAnswer, renderQuestion } from "./answer.js";
import { callStudy, jsonPost } from "./api.js";
import { colorOf } from "./colors.js";
import { saveText } from "./download.js";
import { boxWords } from "./overlay.js";
import { events } from "./sse.js";

const byId = (id) => document.getElementById(id);

export class Chat {
  constructor(viewer) {
    this.viewer = viewer;
    this.list = byId("messages");
    this.turns = [];
    this.n = 0;
    this.abort = null;
  }

  get isBusy() { return this.abort !== null; }

  /** Asks about the slice in view; earlier turns about it come along. */
  async ask(question) {
    const { viewer } = this;
    if (!viewer.study || this.isBusy || !question.trim()) return;
    const { study, slice } = viewer;
    const number = this.n += 1;
    const turn = { number, study, slice, question: question.trim(), answer: "", boxes: [], done: false };
    const view = this.show(turn, study);
    this.abort = new AbortController();
    this.refresh();
    try {
      await this.stream(turn, view);
      turn.done = true;
      this.turns.push(turn);
      this.settle(turn, view);
      announce(`Answer: ${view.text.textContent}`);
    } catch (error) {
      view.item.classList.remove("is-streaming");
      if (error.name === "AbortError") {
        view.text.textContent = `${plainText(turn.answer)} (stopped)`.trim();
        announce("The answer was stopped.");
      } else {
        view.item.classList.add("failed");
        view.text.textContent = wordsFor(error);
        announce(wordsFor(error));
      }
    } finally {
      this.abort = null;
      this.refresh();
    }
  }

  stopAnswer() { this.abort?.abort(); }

  /** What the model is sent: the turns about this slice, its picture with the first. */
  messages(turn, id) {
    const image = { type: "image_url", image_url: { url: `study:${id}/${turn.slice}` } };
    const earlier = this.turns.filter((other) => other.study === turn.study && other.slice === turn.slice && !other.forgotten);
    const said = earlier.flatMap((other) => [{ role: "user", content: other.question }, { role: "assistant", content: other.answer }]);
    said.push({ role: "user", content: turn.question });
    said[0] = { role: "user", content: [image, { type: "text", text: said[0].content }] };
    return said;
  }

  async stream(turn, view) {
    const temperature = Number(byId("temperature").value);
    const { signal } = this.abort;
    const asked = (id) => jsonPost({ messages: this.messages(turn, id), stream: true, stream_options: { include_usage: true }, temperature }, signal);
    const response = await callStudy(turn.study, () => "/v1/chat/completions", asked);
    let failed = null;
    for await (const { data } of events(response)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) { failed = chunk.error; continue; }
      turn.answer += chunk.choices[0]?.delta?.content ?? "";
      view.text.textContent = turn.answer;
      if (chunk.grounding) turn.boxes = chunk.grounding.boxes;
      if (chunk.grounding?.yes_no) turn.yesNo = chunk.grounding.yes_no;
      if (chunk.usage) turn.usage = chunk.usage;
      this.list.scrollTop = this.list.scrollHeight;
    }
    if (failed) throw failed;
  }

  /** Puts question and empty answer on the page. */
  show(turn, study) {
    byId("chat-empty").hidden = true;
    const asked = this.item("user", `You, ${study.has_hu ? "slice" : "picture"} ${turn.slice + 1}`);
    renderQuestion(asked.text, turn.question);
    const jump = document.createElement("button");
    jump.type = "button";
    jump.textContent = "show";
    jump.setAttribute("aria-label", `Show slice ${turn.slice + 1}`);
    jump.onclick = () => this.jump(turn);
    asked.who.append(jump);
    const view = this.item("assistant", "Model");
    view.item.classList.add("is-streaming");
    this.list.scrollTop = this.list.scrollHeight;
    return view;
  }

  item(role, name) {
    const item = document.createElement("li");
    item.className = `message ${role}`;
    const who = Object.assign(document.createElement("p"), { className: "who", textContent: name });
    const text = Object.assign(document.createElement("p"), { className: "text" });
    item.append(who, text);
    this.list.append(item);
    return { item, who, text };
  }

  /** The answer in its last form: words, boxes, and what can be done with it. */
  settle(turn, view) {
    view.item.classList.remove("is-streaming");
    renderAnswer(view.text, turn.answer, turn.boxes);
    if (turn.yesNo?.yes_probability != null) {
      view.text.append(` (yes with probability ${turn.yesNo.yes_probability.toFixed(2)})`);
    }
    if (this.viewer.study === turn.study) this.viewer.addBoxes(turn.slice, `answer-${turn.number}`, turn.boxes);
    if (turn.boxes.length) view.item.append(this.chips(turn));
    if (plainText(turn.answer) !== turn.answer.trim()) {
      view.item.append(Object.assign(document.createElement("p"), { className: "raw", textContent: turn.answer }));
    }
    view.item.append(this.actions(turn));
    this.list.scrollTop = this.list.scrollHeight;
  }

  chips(turn) {
    const chips = Object.assign(document.createElement("div"), { className: "chips" });
    for (const found of turn.boxes) {
      const chip = Object.assign(document.createElement("button"), { type: "button", className: "chip" });
      const dot = Object.assign(document.createElement("span"), { className: "dot" });
      dot.style.background = colorOf(found.label);
      chip.append(dot, boxWords(found));
      chip.setAttribute("aria-label", `${boxWords(found)}, ${placeWords(found)}, show on slice ${turn.slice + 1}`);
      chip.onclick = () => this.jump(turn);
      chips.append(chip);
    }
    return chips;
  }

  actions(turn) {
    const actions = Object.assign(document.createElement("div"), { className: "actions" });
    const add = (words, action) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: words });
      button.onclick = () => action(button);
      actions.append(button);
    };
    const words = () => [plainText(turn.answer), ...turn.boxes.map((found) => `${boxWords(found)}: ${placeWords(found)}`)].filter(Boolean).join("\n");
    add("Copy", async (button) => {
      await navigator.clipboard.writeText(words());
      button.textContent = "Copied";
      announce("The answer was copied.");
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    add("Download", () => saveText(`answer-${turn.number}.txt`, `${turn.question}\n\n${words()}\n\nresearch use only, not for diagnosis\n`));
    return actions;
  }

  async jump(turn) {
    if (this.viewer.study !== turn.study) {
      announce("That study is not open any more.");
      return;
    }
    await this.viewer.show(turn.slice);
    this.viewer.addBoxes(turn.slice, `answer-${turn.number}`, turn.boxes);
  }

  /** Begins anew: what was said is not sent along any more, and the page is cleared. */
  restart() {
    this.stopAnswer();
    this.turns = [];
    this.list.replaceChildren();
    byId("chat-empty").hidden = false;
    this.viewer.clearBoxes((source) => source === "run");
    announce("The conversation begins anew.");
  }

  saveAll() {
    const words = this.turns.map((turn) => `slice ${turn.slice + 1}\n> ${turn.question}\n${turn.answer}\n`);
    saveText("conversation.txt", `${words.join("\n")}\nresearch use only, not for diagnosis\n`);
  }

  refresh() {
    const { isBusy } = this;
    byId("send").hidden = isBusy;
    byId("stop").hidden = !isBusy;
    byId("send").disabled = !this.viewer.study;
    for (const button of document.querySelectorAll(".tasks button")) button.disabled = isBusy || !this.viewer.study;
  }
}
