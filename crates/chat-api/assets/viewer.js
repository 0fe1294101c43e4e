// The slice viewer: scroll, window, zoom, pan, boxes.

import { announce, showProblem } from "./announce.js";
import { boxWords, drawBoxes, withoutCopies } from "./overlay.js";
import { Slices, paint } from "./pixels.js";
import { PRESETS, PRESET_NAMES, grayTable, levelOf, makeWindow, presetOf, widthOf } from "./windows.js";

const byId = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const MAX_ZOOM = 16;

export class Viewer extends EventTarget {
  constructor() {
    super();
    this.stage = byId("stage");
    this.canvas = byId("canvas");
    this.svg = byId("overlay");
    this.plain = document.createElement("canvas");
    this.study = null;
    this.slice = 0;
    this.window = PRESETS.pancreas;
    this.zoom = 1;
    this.pan = [0, 0];
    this.drag = "window";
    this.boxes = new Map();
    this.showBoxes = true;
    this.drawn = null;
    this.pointers = new Map();
    new ResizeObserver(() => this.draw()).observe(this.stage);
    this.listen();
  }

  /** Shows a study from its middle slice, or shows that there is none. */
  async open(study) {
    this.study = study;
    this.slices = study && new Slices(study);
    this.boxes = new Map();
    this.current = null;
    this.drawn = null;
    this.resetView();
    byId("empty").hidden = Boolean(study);
    for (const mark of this.stage.querySelectorAll(".mark")) mark.hidden = !study?.has_hu;
    const slider = byId("slice");
    slider.disabled = !study || study.slices < 2;
    slider.max = study ? study.slices - 1 : 0;
    for (const input of document.querySelectorAll('#presets input, #drags input[value="window"]')) input.disabled = Boolean(study) && !study.has_hu;
    byId("save-image").disabled = !study;
    if (study) await this.show(Math.floor(study.slices / 2));
    else this.draw();
  }

  /** Shows a slice. */
  async show(index) {
    if (!this.study) return;
    this.slice = clamp(index, 0, this.study.slices - 1);
    this.drawn = null;
    byId("corner-hu").textContent = "";
    const { slices, slice } = this;
    this.describe();
    try {
      const pixels = await slices.get(slice);
      // Another slice may have been asked for in the meantime.
      if (slices !== this.slices || slice !== this.slice) return;
      this.current = pixels;
      this.repaint();
      slices.prefetch(slice);
    } catch (error) {
      showProblem(error);
    }
    this.dispatchEvent(new Event("slice"));
  }

  setWindow(window) {
    this.window = window;
    const name = presetOf(window);
    for (const input of document.querySelectorAll("#presets input")) input.checked = input.value === name;
    this.repaint();
    this.describe();
  }

  setDrag(drag) {
    this.drag = drag;
    this.stage.dataset.drag = drag;
    for (const input of document.querySelectorAll("#drags input")) input.checked = input.value === drag;
    if (drag !== "box") this.drawn = null;
    this.draw();
  }

  /** Adds boxes to a slice; those of one source replace each other. */
  addBoxes(slice, source, boxes) {
    const others = (this.boxes.get(slice) ?? []).filter((found) => found.source !== source);
    this.boxes.set(slice, [...others, ...boxes.map((found) => ({ ...found, source, isNew: true }))]);
    if (slice === this.slice) {
      this.draw();
      for (const found of this.boxes.get(slice)) found.isNew = false;
    }
  }

  clearBoxes(keep = () => false) {
    for (const [slice, boxes] of this.boxes) this.boxes.set(slice, boxes.filter((found) => keep(found.source)));
    this.draw();
  }

  boxesHere() {
    return this.showBoxes ? withoutCopies(this.boxes.get(this.slice) ?? []) : [];
  }

  resetView() {
    this.zoom = 1;
    this.pan = [0, 0];
    this.draw();
  }

  zoomBy(factor, at) {
    const [x, y] = at ?? [this.stage.clientWidth / 2, this.stage.clientHeight / 2];
    const before = this.toSlice(x, y);
    this.zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    const [x2, y2] = this.toScreen(...before);
    this.pan = this.zoom === 1 ? [0, 0] : [this.pan[0] + x - x2, this.pan[1] + y - y2];
    this.draw();
  }

  /** Where the slice lies on the screen: its corner, and px of the screen a px of it. */
  place() {
    const { columns, rows } = this.current ?? { columns: 1, rows: 1 };
    const [sx, sy] = this.study?.spacing_mm ?? [1, 1];
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    const scale = Math.min(width / (columns * sx), height / (rows * sy)) * this.zoom;
    const [kx, ky] = [scale * sx, scale * sy];
    return { x: (width - columns * kx) / 2 + this.pan[0], y: (height - rows * ky) / 2 + this.pan[1], kx, ky };
  }

  toScreen(x, y) {
    const at = this.place();
    return [at.x + x * at.kx, at.y + y * at.ky];
  }

  toSlice(x, y) {
    const at = this.place();
    return [(x - at.x) / at.kx, (y - at.y) / at.ky];
  }

  repaint() {
    if (!this.current) return;
    this.table = grayTable(this.window);
    paint(this.plain, this.current, this.table);
    this.draw();
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (this.current) {
      const at = this.place();
      context.imageSmoothingEnabled = at.kx < 4;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.plain, at.x, at.y, this.current.columns * at.kx, this.current.rows * at.ky);
    }
    drawBoxes(this.svg, this.current ? this.boxesHere() : [], (x, y) => this.toScreen(x, y), this.drawn);
  }

  /** The words around the slice. */
  describe() {
    const { study, slice } = this;
    if (!study) {
      this.stage.setAttribute("aria-label", "No study is open");
      for (const id of ["corner-slice", "corner-window", "corner-hu"]) byId(id).textContent = "";
      byId("slice-words").textContent = "–";
      return;
    }
    const words = `${slice + 1} / ${study.slices}`;
    byId("slice").value = slice;
    byId("slice").setAttribute("aria-valuetext", `slice ${slice + 1} of ${study.slices}`);
    byId("slice-words").textContent = words;
    byId("corner-slice").textContent = study.has_hu ? `slice ${words}` : `picture ${words}`;
    byId("corner-window").textContent = study.has_hu ? `W ${widthOf(this.window)}  L ${levelOf(this.window)} HU` : "";
    const found = this.boxesHere().map(boxWords).join(", ");
    this.stage.setAttribute("aria-label", `Slice ${slice + 1} of ${study.slices}${found ? `; boxes: ${found}` : ""}`);
  }

  listen() {
    const { stage } = this;
    stage.addEventListener("wheel", (event) => {
      if (!this.study) return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, [event.offsetX, event.offsetY]);
      else this.wheel(event.deltaY);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => this.pointerDown(event));
    stage.addEventListener("pointermove", (event) => this.pointerMove(event));
    for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => this.pointerUp(event));
    stage.addEventListener("pointerleave", () => { byId("corner-hu").textContent = ""; });
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("dblclick", () => this.resetView());
  }

  /** Wheels of fine steps scroll as far as those of coarse ones. */
  wheel(delta) {
    this.rolled = (this.rolled ?? 0) + (Math.abs(delta) >= 50 ? Math.sign(delta) * 50 : delta);
    const steps = Math.trunc(this.rolled / 50);
    this.rolled -= steps * 50;
    if (steps) this.show(this.slice - steps);
  }

  at(event) {
    const frame = this.stage.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  pointerDown(event) {
    if (!this.study || event.target.closest("button, a")) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    const asPan = event.shiftKey || event.button === 1 || this.drag === "pan" || (!this.study.has_hu && this.drag === "window");
    this.action = asPan ? "pan" : this.drag;
    if (this.action === "box") this.start = this.toSlice(...this.at(event));
  }

  pointerMove(event) {
    const [x, y] = this.at(event);
    if (!this.pointers.has(event.pointerId)) return this.probe(x, y);
    const [lastX, lastY] = this.pointers.get(event.pointerId);
    if (this.pointers.size === 2) this.pinch(event.pointerId, x, y);
    else if (this.action === "pan") this.pan = [this.pan[0] + x - lastX, this.pan[1] + y - lastY];
    else if (this.action === "box") this.drawn = this.ordered(this.start, this.toSlice(x, y));
    else {
      const step = Math.max(widthOf(this.window) / 300, 0.5);
      this.setWindow(makeWindow(levelOf(this.window) - (y - lastY) * step, widthOf(this.window) + (x - lastX) * step));
    }
    this.pointers.set(event.pointerId, [x, y]);
    this.draw();
  }

  pointerUp(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.action === "box" && this.drawn && this.pointers.size === 0) {
      const [x1, y1, x2, y2] = this.drawn;
      if (x2 - x1 >= 2 && y2 - y1 >= 2) this.offerBox();
    }
  }

  pinch(id, x, y) {
    const other = [...this.pointers].find(([key]) => key !== id)[1];
    const last = this.pointers.get(id);
    const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    this.zoomBy(apart([x, y], other) / apart(last, other), [(x + other[0]) / 2, (y + other[1]) / 2]);
  }

  /** The HU under the pointer. */
  probe(x, y) {
    if (!this.current?.hu) return;
    const [column, row] = this.toSlice(x, y).map(Math.floor);
    const { columns, rows, hu } = this.current;
    const inside = column >= 0 && row >= 0 && column < columns && row < rows;
    byId("corner-hu").textContent = inside ? `${column}, ${row}: ${hu[row * columns + column]} HU` : "";
  }

  ordered([x1, y1], [x2, y2]) {
    const { columns, rows } = this.current;
    const inside = (value, most) => clamp(value, 0, most);
    return [inside(Math.min(x1, x2), columns), inside(Math.min(y1, y2), rows), inside(Math.max(x1, x2), columns), inside(Math.max(y1, y2), rows)];
  }

  offerBox() {
    this.dispatchEvent(new CustomEvent("box", { detail: { box: this.drawn, columns: this.current.columns, rows: this.current.rows } }));
  }

  /** A box for those who draw with keys. */
  startBox() {
    if (!this.current) return;
    this.setDrag("box");
    const { columns, rows } = this.current;
    this.drawn = [columns * 0.4, rows * 0.4, columns * 0.6, rows * 0.6];
    this.draw();
    this.stage.focus();
    announce("A box is drawn. Arrows move it, Shift and arrows size it, Enter asks, Escape leaves.");
  }

  boxKey(event) {
    const { columns, rows } = this.current;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    let [x1, y1, x2, y2] = this.drawn;
    const [mx, my] = [dx * columns / 100, dy * rows / 100];
    if (event.key === "Enter") { this.offerBox(); return true; }
    if (event.key === "Escape") { this.setDrag("window"); announce("The box is gone."); return true; }
    if (!dx && !dy) return false;
    if (event.shiftKey) [x2, y2] = [clamp(x2 + mx, x1 + 2, columns), clamp(y2 + my, y1 + 2, rows)];
    else {
      const [ox, oy] = [clamp(mx, -x1, columns - x2), clamp(my, -y1, rows - y2)];
      [x1, y1, x2, y2] = [x1 + ox, y1 + oy, x2 + ox, y2 + oy];
    }
    this.drawn = [x1, y1, x2, y2];
    this.draw();
    return true;
  }

  key(event) {
    if (!this.study || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.drawn && this.boxKey(event)) return event.preventDefault();
    const last = this.study.slices - 1;
    const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -last, End: last };
    const pans = { ArrowLeft: [30, 0], ArrowRight: [-30, 0], ArrowUp: [0, 30], ArrowDown: [0, -30] };
    const [level, width] = [levelOf(this.window), widthOf(this.window)];
    const actions = {
      "+": () => this.zoomBy(1.25), "=": () => this.zoomBy(1.25), "-": () => this.zoomBy(0.8), 0: () => this.resetView(),
      "[": () => this.setWindow(makeWindow(level, width * 0.9)), "]": () => this.setWindow(makeWindow(level, width * 1.1)),
      ",": () => this.setWindow(makeWindow(level - 10, width)), ".": () => this.setWindow(makeWindow(level + 10, width)),
      b: () => byId("show-boxes").click(), i: () => this.startBox(),
    };
    if (event.shiftKey && pans[event.key]) {
      this.pan = [this.pan[0] + pans[event.key][0], this.pan[1] + pans[event.key][1]];
      this.draw();
    } else if (steps[event.key]) {
      this.show(this.slice + steps[event.key]);
      announce(`slice ${this.slice + 1} of ${this.study.slices}`);
    } else if (/^[1-5]$/.test(event.key) && this.study.has_hu) {
      const name = PRESET_NAMES[Number(event.key) - 1];
      this.setWindow(PRESETS[name]);
      announce(`${name} window`);
    } else if (actions[event.key.toLowerCase()]) actions[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  }
}
