// Finding an endpoint: hides what does not fit, and opens the one that the address names.

const search = document.querySelector("[data-search]");
search.hidden = false;
search.querySelector("input").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of document.querySelectorAll(".api-group")) {
    let isAnyShown = false;
    for (const op of group.querySelectorAll(".op")) {
      const text = op.firstElementChild.textContent.toLowerCase();
      op.hidden = !words.every((word) => text.includes(word));
      isAnyShown ||= !op.hidden;
    }
    group.hidden = !isAnyShown;
  }
});

function openNamed() {
  const op = document.getElementById(location.hash.slice(1));
  if (op instanceof HTMLDetailsElement) op.open = true;
}
addEventListener("hashchange", openNamed);
openNamed();
