// Boxes over a slice, as SVG in the pixels of the screen.

import { colorOf } from "./colors.js";

const SVG = "http://www.w3.org/2000/svg";
const LABEL_HEIGHT = 20;

function make(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

/** The words on a box. */
export function boxWords(found) {
  const sure = found.confidence == null ? "" : ` ${Math.round(found.confidence * 100)} %`;
  return `${found.label}${sure}`;
}

/** Boxes without those that are nearly a later one of the same label. */
export function withoutCopies(boxes) {
  return boxes.filter((found, n) => !boxes.slice(n + 1).some((later) => later.label === found.label && overlap(found.box_px, later.box_px) > 0.9));
}

/** Shared area over joined area. */
function overlap(a, b) {
  const side = (n) => Math.max(0, Math.min(a[n + 2], b[n + 2]) - Math.max(a[n], b[n]));
  const area = (c) => (c[2] - c[0]) * (c[3] - c[1]);
  const shared = side(0) * side(1);
  return shared / (area(a) + area(b) - shared);
}

/** Draws boxes; `toScreen` maps px of the slice to px of the screen. */
export function drawBoxes(svg, boxes, toScreen, drawn) {
  svg.replaceChildren();
  const taken = [];
  for (const found of boxes) {
    const [x1, y1] = toScreen(found.box_px[0], found.box_px[1]);
    const [x2, y2] = toScreen(found.box_px[2], found.box_px[3]);
    const group = make("g", { class: found.isNew ? "is-new" : "" }, svg);
    const place = { x: x1, y: y1, width: Math.max(x2 - x1, 1), height: Math.max(y2 - y1, 1), rx: 2 };
    make("rect", { ...place, class: "halo" }, group);
    const rect = make("rect", { ...place, class: "found", stroke: colorOf(found.label) }, group);
    rect.dataset.label = found.label;
    rect.dataset.boxPx = found.box_px.join(",");
    label(group, found, x1, y1, y2, taken);
  }
  if (drawn) {
    const [x1, y1] = toScreen(drawn[0], drawn[1]);
    const [x2, y2] = toScreen(drawn[2], drawn[3]);
    make("rect", { class: "drawn", x: x1, y: y1, width: Math.max(x2 - x1, 1), height: Math.max(y2 - y1, 1) }, svg);
  }
}

/** The words above the box, or below it where there is no room, and beside no other words. */
function label(group, found, x, top, bottom, taken) {
  const words = make("text", {}, group);
  words.textContent = boxWords(found);
  const width = words.getComputedTextLength() + 14;
  let y = top - LABEL_HEIGHT - 3;
  if (y < 2) y = Math.min(bottom + 3, group.ownerSVGElement.clientHeight - LABEL_HEIGHT - 2);
  const left = Math.min(Math.max(x, 2), Math.max(2, group.ownerSVGElement.clientWidth - width - 2));
  const meets = (other) => left < other.left + other.width && other.left < left + width && Math.abs(y - other.y) < LABEL_HEIGHT;
  while (taken.some(meets)) y += LABEL_HEIGHT + 2;
  taken.push({ left, width, y });
  make("rect", { x: left, y, width, height: LABEL_HEIGHT, rx: 5, fill: colorOf(found.label), "fill-opacity": 0.92 }, group);
  words.setAttribute("x", left + 7);
  words.setAttribute("y", y + 14);
  group.append(words);
}
