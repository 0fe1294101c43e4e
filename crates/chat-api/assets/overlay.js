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

/** The words above the box, else below or beside it: on the screen, and on no other words. */
function label(group, found, x, top, bottom, taken) {
  const words = make("text", {}, group);
  words.textContent = boxWords(found);
  const width = words.getComputedTextLength() + 14;
  const { clientWidth, clientHeight } = group.ownerSVGElement;
  const inside = (value, most) => Math.min(Math.max(value, 2), Math.max(2, most));
  const at = (left, y) => ({ left: inside(left, clientWidth - width - 2), y: inside(y, clientHeight - LABEL_HEIGHT - 2), width });
  const meets = (a, b) => a.left < b.left + b.width && b.left < a.left + a.width && Math.abs(a.y - b.y) < LABEL_HEIGHT;
  const above = top - LABEL_HEIGHT - 3;
  const places = [at(x, above), at(x, bottom + 3), at(x - width - 4, top), at(x, above - LABEL_HEIGHT - 2), at(x, bottom + LABEL_HEIGHT + 5)];
  const place = places.find((one) => !taken.some((other) => meets(one, other))) ?? places[0];
  taken.push(place);
  make("rect", { x: place.left, y: place.y, width, height: LABEL_HEIGHT, rx: 5, fill: colorOf(found.label), "fill-opacity": 0.92 }, group);
  words.setAttribute("x", place.left + 7);
  words.setAttribute("y", place.y + 14);
  group.append(words);
}
