// Turns what a person drops or chooses into one thing to send: an archive as it is, or a folder as a tar.

import { tar } from "./tar.js";

const LEFT_OUT = new Set([".git", ".hg", ".svn", "__pycache__", ".DS_Store", "Thumbs.db"]);
const ARCHIVE = /\.(tar|tar\.gz|tgz|tar\.zst|tzst|tar\.bz2|tar\.xz|gz|zst)$/i;
const MOST_FILES = 50_000;

/** What was dropped, as { name, blob, count, type }. Throws an Error with a sentence for people. */
export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) throw new Error("Nothing to install was dropped. Drop a folder or an archive.");
  if (entries.length === 1 && entries[0].isDirectory) return fromEntry(entries[0]);
  if (entries.length === 1 && ARCHIVE.test(entries[0].name)) return fromArchive(transfer.files[0]);
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return pack(entries.length === 1 ? entries[0].name : `${entries.length} items`, found);
}

/** What an <input webkitdirectory> holds. */
export function fromFolder(files) {
  const found = [...files].map((file) => ({ path: file.webkitRelativePath.split("/").slice(1).join("/"), file }));
  const name = files[0]?.webkitRelativePath.split("/")[0] ?? "folder";
  return pack(name, found.filter(({ path }) => !path.split("/").some((part) => LEFT_OUT.has(part))));
}

export function fromArchive(file) {
  if (!ARCHIVE.test(file.name)) throw new Error(`${file.name} is no archive. Choose a .tar, .tar.gz or .tar.zst, or a folder.`);
  return { name: file.name, blob: file, count: null, type: "application/octet-stream" };
}

async function fromEntry(directory) {
  const found = [];
  for (const entry of await children(directory)) await walk(entry, "", found);
  return pack(directory.name, found);
}

async function walk(entry, before, found) {
  if (LEFT_OUT.has(entry.name)) return;
  if (found.length > MOST_FILES) throw new Error(`There are more than ${MOST_FILES} files. Is this the right folder?`);
  const path = before ? `${before}/${entry.name}` : entry.name;
  if (entry.isFile) {
    found.push({ path, file: await new Promise((take, refuse) => entry.file(take, refuse)) });
  } else {
    for (const child of await children(entry)) await walk(child, path, found);
  }
}

/** A directory is read in portions until an empty one comes. */
async function children(directory) {
  const reader = directory.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((take, refuse) => reader.readEntries(take, refuse));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

async function pack(name, found) {
  if (found.length === 0) throw new Error("The folder is empty.");
  if (!found.some(({ path }) => path === "paradrop.yaml" || path === "paradrop.yml")) {
    throw new Error(`There is no paradrop.yaml in ${name}. Choose the folder that holds it.`);
  }
  found.sort((one, other) => (one.path < other.path ? -1 : 1));
  const entries = await Promise.all(found.map(async ({ path, file }) => ({ path, file, mode: await modeOf(file) })));
  return { name, blob: tar(entries), count: entries.length, type: "application/x-tar" };
}

/** Browsers do not tell who may execute a file; one that begins with #! or is an ELF program is meant to be. */
async function modeOf(file) {
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const isScript = start[0] === 0x23 && start[1] === 0x21;
  const isProgram = start[0] === 0x7f && start[1] === 0x45 && start[2] === 0x4c && start[3] === 0x46;
  return isScript || isProgram ? 0o755 : 0o644;
}
