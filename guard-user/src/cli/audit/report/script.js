"use strict";
(() => {
  const form = document.getElementById("filter");
  const text = document.getElementById("filter-text");
  const part = document.getElementById("filter-part");
  const told = document.getElementById("filter-told");
  const rows = [...document.querySelectorAll("[data-row]")];
  const sections = [...document.querySelectorAll("section[data-part]")];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const apply = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    sections.forEach((section) => {
      section.hidden = part.value !== "" && section.dataset.part !== part.value;
    });
    rows.forEach((row, at) => {
      row.hidden = !wanted.every((word) => words[at].includes(word));
      if (!row.hidden && !row.closest("section").hidden) shown += 1;
    });
    const all = wanted.length === 0 && part.value === "";
    told.textContent = all ? "" : `${shown} of ${rows.length} entries shown; counts at the top are of all.`;
  };
  text.addEventListener("input", apply);
  part.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
  });
  form.hidden = false;
})();
