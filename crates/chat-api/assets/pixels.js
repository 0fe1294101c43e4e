// Slices of a study: fetched once, kept for a while, windowed here.

import { callStudy } from "./api.js";

const KEPT = 64;

/** Slices of one study. */
export class Slices {
  constructor(study) {
    this.study = study;
    this.kept = new Map();
  }

  /** A slice's pixels: { columns, rows, hu } or { columns, rows, bitmap }. */
  get(index) {
    let slice = this.kept.get(index);
    if (slice) {
      this.kept.delete(index);
    } else {
      slice = this.fetch(index);
      slice.catch(() => this.kept.delete(index));
    }
    this.kept.set(index, slice);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return slice;
  }

  /** Fetches what is likely to be looked at next. */
  prefetch(index) {
    for (const near of [index + 1, index - 1, index + 2, index - 2]) {
      if (near >= 0 && near < this.study.slices && !this.kept.has(near)) this.get(near).catch(() => {});
    }
  }

  async fetch(index) {
    const path = (kind) => (id) => `/v1/studies/${id}/slices/${index}.${kind}`;
    if (!this.study.has_hu) {
      const bitmap = await createImageBitmap(await (await callStudy(this.study, path("png"))).blob());
      return { columns: bitmap.width, rows: bitmap.height, bitmap };
    }
    const response = await callStudy(this.study, path("i16"));
    const hu = new Int16Array(await response.arrayBuffer());
    return { columns: Number(response.headers.get("x-columns")), rows: Number(response.headers.get("x-rows")), hu };
  }
}

/** Draws a slice at one pixel a pixel. */
export function paint(canvas, slice, table) {
  canvas.width = slice.columns;
  canvas.height = slice.rows;
  const context = canvas.getContext("2d");
  if (slice.bitmap) {
    context.drawImage(slice.bitmap, 0, 0);
    return;
  }
  const image = context.createImageData(slice.columns, slice.rows);
  const out = new Uint32Array(image.data.buffer);
  for (let n = 0; n < out.length; n += 1) {
    out[n] = 0xff000000 | (table[slice.hu[n] + 32768] * 0x010101);
  }
  context.putImageData(image, 0, 0);
}
