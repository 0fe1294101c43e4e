// Files in: picked, or dropped.

/** All files of a drop, folders walked through. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      files.push(await new Promise((resolve, reject) => { entry.file(resolve, reject); }));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) return;
      for (const child of some) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}

/** Hands dropped files on, and shows where they can be dropped. */
export function listenForDrops(stage, onFiles) {
  const over = (is) => (event) => {
    event.preventDefault();
    stage.classList.toggle("is-over", is);
  };
  for (const target of [document]) {
    target.addEventListener("dragover", over(true));
    target.addEventListener("dragleave", over(false));
    target.addEventListener("drop", async (event) => {
      over(false)(event);
      onFiles(await droppedFiles(event.dataTransfer));
    });
  }
}
