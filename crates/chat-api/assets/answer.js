// An answer's text for people: boxes become chips, grounded phrases their colors.

import { colorOf } from "./colors.js";

const BOX = /\{<\d+><\d+><\d+><\d+>\}/g;
const MARKS = /<p>|<\/p>|<delim>/g;
const TAG = /^\s*(\[(?:refer|vqa|identify|grounding|detection)\])\s*/;

/** The text without the marks of boxes. */
export function plainText(text) {
  return text.replace(BOX, "").replace(MARKS, "").replace(/[ \t]+/g, " ").replace(/ ([.,;])/g, "$1").trim();
}

/** Fills an element with an answer: words, with phrases that have a box in the color of that box. */
export function renderAnswer(element, text, boxes) {
  element.replaceChildren();
  const shown = plainText(text);
  if (!shown && boxes.length) {
    element.append(boxes.map((found) => `${found.label}: ${placeWords(found)}`).join("\n"));
    return;
  }
  if (!text.includes("<p>")) {
    element.append(shown || "Nothing was found.");
    return;
  }
  for (const [n, piece] of text.trim().replace(/(?:\s|<delim>|\{<\d+><\d+><\d+><\d+>\})+$/, "").split(/<p>([^<]*)<\/p>/).entries()) {
    if (n % 2 === 0) {
      element.append(piece.replace(BOX, "").replace(MARKS, "").replace(/\s+/g, " "));
    } else {
      const phrase = document.createElement("span");
      phrase.className = "phrase";
      phrase.style.textDecorationColor = colorOf(piece);
      phrase.textContent = piece;
      element.append(phrase);
    }
  }
}

/** A box in words. */
export function placeWords(found) {
  const [x1, y1, x2, y2] = found.box_px.map(Math.round);
  return `columns ${x1} to ${x2}, rows ${y1} to ${y2}`;
}

/** Fills an element with a question, its tag set off. */
export function renderQuestion(element, text) {
  element.replaceChildren();
  const tag = text.match(TAG);
  if (tag) {
    const mark = document.createElement("span");
    mark.className = "tag";
    mark.textContent = tag[1];
    element.append(mark, " ");
  }
  element.append(text.replace(TAG, ""));
}
