// One color for each thing that is found, the same everywhere. All are light, so that black text is read on them.

const KNOWN = {
  pancreas: "#ffb000", tumor: "#ff6f91", "pancreatic tumor": "#ff6f91", liver: "#4cc9f0", spleen: "#b69cff",
  "left kidney": "#63e388", "right kidney": "#2fd9c4", stomach: "#ffd6a5", gallbladder: "#c6f68d", aorta: "#ff8a5c",
};
const OTHERS = ["#f4e04d", "#9be7ff", "#ffa6d6", "#a8e6a1", "#d0b3ff", "#ffc38a", "#8ff0d6", "#e4c1f9"];
const given = new Map();

export function colorOf(label) {
  const name = label.trim().toLowerCase();
  if (KNOWN[name]) return KNOWN[name];
  if (!given.has(name)) given.set(name, OTHERS[given.size % OTHERS.length]);
  return given.get(name);
}
