// Packs files into a tar (ustar, with pax headers for long names) without copying their contents: the result is a Blob
// of parts that the browser reads while it sends.

const BLOCK = 512;
const encoder = new TextEncoder();

/** `entries`: [{ path, file, mode }] with paths relative to the archive. Returns a Blob. */
export function tar(entries) {
  const parts = [];
  for (const { path, file, mode } of entries) {
    const name = encoder.encode(path);
    const time = Math.floor((file.lastModified ?? 0) / 1000);
    if (name.length > 100 || file.size > 0o77777777777) {
      const records = pax({ path, size: String(file.size) });
      parts.push(header(encoder.encode("./PaxHeaders/entry"), records.length, 0o644, time, "x"), records, padding(records.length));
    }
    parts.push(header(name.slice(0, 100), Math.min(file.size, 0o77777777777), mode, time, "0"), file, padding(file.size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: "application/x-tar" });
}

function header(name, size, mode, time, type) {
  const block = new Uint8Array(BLOCK);
  const put = (text, at) => block.set(typeof text === "string" ? encoder.encode(text) : text, at);
  const octal = (value, digits) => value.toString(8).padStart(digits, "0");
  put(name, 0);
  put(octal(mode, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(size, 11), 124);
  put(octal(time, 11), 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\0" + "00", 257);
  const sum = block.reduce((all, byte) => all + byte, 0);
  put(octal(sum, 6) + "\0 ", 148);
  return block;
}

/** Each record is "<length> <key>=<value>\n", where the length counts itself. */
function pax(records) {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = encoder.encode(` ${key}=${value}\n`);
    let length = body.length + 1;
    while (String(length).length + body.length !== length) length = String(length).length + body.length;
    return [...encoder.encode(String(length)), ...body];
  });
  return new Uint8Array(lines.flat());
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
