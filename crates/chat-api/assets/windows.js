// HU windows: what becomes black and what becomes white.

export const PRESETS = {
  abdomen: { low: -160, high: 240 },
  pancreas: { low: -150, high: 250 },
  liver: { low: -45, high: 105 },
  bone: { low: -500, high: 1300 },
  lung: { low: -1350, high: 150 },
};

export const PRESET_NAMES = Object.keys(PRESETS);
const MIN_WIDTH = 10;

/** A window of whole numbers that is not too narrow. */
export function makeWindow(level, width) {
  const half = Math.max(width, MIN_WIDTH) / 2;
  return { low: Math.round(level - half), high: Math.round(level + half) };
}

export const levelOf = ({ low, high }) => (low + high) / 2;
export const widthOf = ({ low, high }) => high - low;

/** The name of a window, if it has one. */
export function presetOf(window) {
  return PRESET_NAMES.find((name) => PRESETS[name].low === window.low && PRESETS[name].high === window.high);
}

/** A table of 65,536 grays for HU from -32768, rounded as the server rounds. */
export function grayTable({ low, high }) {
  const table = new Uint8ClampedArray(65536);
  for (let n = 0; n < 65536; n += 1) {
    const hu = Math.min(Math.max(n - 32768, low), high);
    // The product comes first, so that halves are met exactly.
    table[n] = Math.floor(((hu - low) * 255) / (high - low) + 0.5);
  }
  return table;
}
