// Things to keep: files made here or fetched with the token.

import { callStudy } from "./api.js";
import { colorOf } from "./colors.js";
import { boxWords } from "./overlay.js";

const NOTE = "research use only, not for diagnosis";

export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export async function saveFrom(study, path, name) {
  save(name, await (await callStudy(study, path)).blob());
}

/** The slice as it is windowed, with its boxes and the note, at twice its size. */
export async function saveImage(viewer) {
  const { columns, rows } = viewer.current;
  const [sx, sy] = viewer.study.spacing_mm ?? [1, 1];
  const k = Math.max(1, Math.ceil(800 / columns));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(columns * k);
  canvas.height = Math.round(rows * k * sy / sx);
  const context = canvas.getContext("2d");
  const ky = canvas.height / rows;
  context.imageSmoothingQuality = "high";
  context.drawImage(viewer.plain, 0, 0, canvas.width, canvas.height);
  context.font = "600 16px system-ui, sans-serif";
  for (const found of viewer.boxesHere()) {
    const [x1, y1, x2, y2] = found.box_px;
    context.strokeStyle = colorOf(found.label);
    context.lineWidth = 3;
    context.strokeRect(x1 * k, y1 * ky, (x2 - x1) * k, (y2 - y1) * ky);
    const words = boxWords(found);
    const width = context.measureText(words).width + 12;
    const y = y1 * ky > 26 ? y1 * ky - 26 : y2 * ky + 3;
    context.fillStyle = colorOf(found.label);
    context.fillRect(x1 * k, y, width, 24);
    context.fillStyle = "#08110f";
    context.fillText(words, x1 * k + 6, y + 17);
  }
  context.fillStyle = "rgb(0 0 0 / 65%)";
  context.fillRect(0, canvas.height - 26, canvas.width, 26);
  context.fillStyle = "#fff";
  context.fillText(`slice ${viewer.slice + 1} of ${viewer.study.slices}, ${NOTE}`, 8, canvas.height - 8);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  save(`slice-${viewer.slice + 1}.png`, blob);
}

export function saveText(name, text) {
  save(name, new Blob([text], { type: "text/plain;charset=utf-8" }));
}
