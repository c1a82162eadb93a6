// Puts a chosen file into the text, where it can be read before it is taken in.

const place = document.querySelector("[data-file]");
const input = place.querySelector("input");
place.hidden = false;
input.addEventListener("change", async () => {
  const file = input.files[0];
  if (!file) return;
  document.querySelector("textarea[name=text]").value = await file.text();
  place.querySelector("[data-name]").textContent = file.name;
});
