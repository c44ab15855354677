// Files that were dropped or chosen, those in folders too, each with its path below what was dropped.

const paths = new WeakMap(); // file -> path, where the browser does not say it itself

export const pathOf = (file) => paths.get(file) ?? (file.webkitRelativePath || file.name);

// A folder holds more than recordings: covers, notes, files of the system. What is plainly no sound is left out.
const isLeftOut = (file) => file.name.startsWith(".") || (file.type && !/^(audio|video)\/|zip/.test(file.type));

export const fromFolder = (files) => [...files].filter((file) => !isLeftOut(file));

// Returns all files of a drop. The entries have to be taken before anything is waited for.
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  for (const entry of entries) await gather(entry, found);
  return found;
}

async function gather(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    const path = entry.fullPath.replace(/^\//, "");
    if (path.includes("/") && isLeftOut(file)) return;
    paths.set(file, path);
    found.push(file);
    return;
  }
  for (const child of await children(entry)) await gather(child, found);
}

async function children(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!some.length) return found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    found.push(...some);
  }
}
