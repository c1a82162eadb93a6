// The editor of a scenario: numbers beside the lines, the faulty line marked, the text checked when typing pauses. Tab stays
// inside until Escape gives it back to the keyboard's way around.

const form = document.querySelector("[data-check]");
const PAUSE_MS = 500;
const editors = new Map();
let timer = 0;
let asked = 0;

for (const place of form.querySelectorAll("[data-editor]")) {
  const area = place.querySelector("textarea");
  const gutter = document.createElement("div");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true");
  place.prepend(gutter);
  const editor = { area, gutter, fault: Number(place.dataset.fault ?? 0) };
  editors.set(place.dataset.editor, editor);
  area.addEventListener("input", () => {
    number(editor);
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  });
  area.addEventListener("scroll", () => (gutter.scrollTop = area.scrollTop));
  area.addEventListener("keydown", (event) => key(area, event));
  area.addEventListener("focus", () => (area.dataset.tabs = "yes"));
  number(editor);
  if (editor.fault) show(editor);
}

/** The numbers of the lines; made anew only as far as their count has changed. */
function number({ area, gutter, fault }) {
  const count = area.value.split("\n").length;
  while (gutter.childElementCount > count) gutter.lastElementChild.remove();
  while (gutter.childElementCount < count) {
    const line = document.createElement("span");
    line.textContent = String(gutter.childElementCount + 1);
    gutter.append(line);
  }
  [...gutter.children].forEach((line, at) => line.classList.toggle("fault", at + 1 === fault));
  gutter.scrollTop = area.scrollTop;
}

function show({ area, gutter, fault }) {
  const line = gutter.children[fault - 1];
  if (!line) return;
  area.scrollTop = Math.max(0, line.offsetTop - area.clientHeight / 2);
  gutter.scrollTop = area.scrollTop;
}

function key(area, event) {
  if (event.key === "Escape") area.dataset.tabs = "no";
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return form.querySelector('[value="save"]').click();
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
  if (event.key === "Tab" && !event.shiftKey && area.dataset.tabs === "yes") {
    event.preventDefault();
    insert(area, area.id === "code" ? "    " : "  ");
  } else if (event.key === "Enter" && area.id === "code") {
    const line = area.value.slice(start, area.selectionStart);
    event.preventDefault();
    insert(area, `\n${line.match(/^\s*/)[0]}${/:\s*$/.test(line) ? "    " : ""}`);
  }
}

/** So that undo takes it back as one step. */
function insert(area, text) {
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input"));
  }
}

async function check() {
  const mine = ++asked;
  const body = new URLSearchParams({ head: editors.get("head").area.value, code: editors.get("code").area.value });
  try {
    const reply = await fetch(form.dataset.check, { method: "POST", body, headers: { "hx-request": "true" } });
    if (!reply.ok || mine !== asked) return;
    tell((await reply.json()).fault);
  } catch {
    // the gateway is away for a moment; saving will say so
  }
}

function tell(fault) {
  const place = document.getElementById("fault");
  place.replaceChildren();
  if (fault) {
    const notice = document.createElement("p");
    notice.className = "notice bad";
    notice.textContent = fault.message + (fault.line && !fault.message.includes(`line ${fault.line}`) ? ` (line ${fault.line})` : "");
    place.append(notice);
  }
  for (const [name, editor] of editors) {
    editor.fault = fault?.part === name ? (fault.line ?? 0) : 0;
    number(editor);
  }
}

const rehearsal = document.getElementById("rehearsal");
rehearsal?.scrollIntoView({ block: "nearest" });
