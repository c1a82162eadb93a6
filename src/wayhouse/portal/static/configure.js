// The rows of the environment: add and take away. Tab stays inside the editor of the specification.

const form = document.querySelector("[data-environment]");
const pairs = form.querySelector("[data-pairs]");
const add = form.querySelector("[data-add-row]");

const blank = pairs.lastElementChild.cloneNode(true);
add.hidden = false;
for (const button of pairs.querySelectorAll("[data-drop-row]")) button.hidden = false;
blank.querySelector("[data-drop-row]").hidden = false;

add.addEventListener("click", () => {
  const row = blank.cloneNode(true);
  pairs.append(row);
  row.querySelector("input").focus();
});
pairs.addEventListener("click", (event) => {
  const row = event.target.closest("[data-drop-row]")?.closest(".pair-row");
  if (!row) return;
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  (next?.querySelector("input") ?? add).focus();
});

const code = document.querySelector("[data-code]");
code?.addEventListener("keydown", (event) => {
  if (event.key !== "Tab" || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  if (code.dataset.tabs === "no") return;
  event.preventDefault();
  code.setRangeText("  ", code.selectionStart, code.selectionEnd, "end");
});
// Escape gives Tab back to the keyboard's way around, so that nobody is caught in the editor.
code?.addEventListener("keydown", (event) => {
  if (event.key === "Escape") code.dataset.tabs = "no";
});
code?.addEventListener("focus", () => (code.dataset.tabs = "yes"));
