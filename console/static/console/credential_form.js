"use strict";
// The form of a credential: it shows the fields of the chosen kind.
document.addEventListener("DOMContentLoaded", () => {
  const kind = document.querySelector("select[data-shows]");
  if (!kind) return;
  const shows = JSON.parse(kind.dataset.shows);
  const all = [...new Set(Object.values(shows).flat())];
  const update = () => {
    for (const name of all) {
      const row = document.querySelector(`.field-${name}`);
      row?.classList.toggle("cs-hidden", !shows[kind.value]?.includes(name));
    }
  };
  kind.addEventListener("change", update);
  update();
});
