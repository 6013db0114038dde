"use strict";
/* The palette on Ctrl-K or Cmd-K, and the keys of lists and pages. */
document.addEventListener("DOMContentLoaded", () => {
  const opener = document.getElementById("open-palette");
  if (!opener) return;
  const words = document.getElementById("palette-words").dataset;
  const make = (name, props, ...children) => {
    const element = Object.assign(document.createElement(name), props);
    element.append(...children);
    return element;
  };

  const list = make("ul", { id: "palette-list", role: "listbox", ariaLabel: words.dialog });
  const input = make("input", { type: "text", placeholder: words.hint, ariaLabel: words.dialog, autocomplete: "off" });
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "true");
  const nothing = make("p", { hidden: true, textContent: words.nothing });
  nothing.setAttribute("role", "status");
  const dialog = make("dialog", { className: "cs-palette", ariaLabel: words.dialog }, input, list, nothing);
  document.body.append(dialog);
  let found = { items: [] };
  let chosen = 0;
  let timer = 0;

  const go = (item) => {
    if (!item) return;
    if (!item.fields) return location.assign(item.url);
    const posted = Object.entries({ csrfmiddlewaretoken: found.csrf, ...item.fields });
    const inputs = posted.map(([name, value]) => make("input", { type: "hidden", name, value }));
    const form = make("form", { method: "post", action: item.url }, ...inputs);
    document.body.append(form);
    form.submit();
  };
  const choose = (index) => {
    chosen = Math.max(0, Math.min(index, found.items.length - 1));
    [...list.children].forEach((row, at) => row.setAttribute("aria-selected", String(at === chosen)));
    const row = list.children[chosen];
    row?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", row?.id || "");
  };
  const show = async () => {
    const answer = await fetch(`${opener.dataset.palette}?${new URLSearchParams({ q: input.value })}`);
    if (!answer.ok || answer.redirected) return;
    found = await answer.json();
    list.replaceChildren(
      ...found.items.map((item, at) => {
        const row = make("li", { id: `palette-${at}`, role: "option" }, item.title, make("span", { textContent: item.kind }));
        row.addEventListener("click", () => go(item));
        return row;
      }),
    );
    nothing.hidden = Boolean(found.items.length);
    list.hidden = !nothing.hidden;
    choose(0);
  };
  const open = () => {
    if (dialog.open) return;
    input.value = "";
    dialog.showModal();
    show();
  };
  opener.addEventListener("click", open);
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, 120);
  });
  input.addEventListener("keydown", (event) => {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) choose(chosen + moves[event.key]);
    else if (event.key === "Enter") go(found.items[chosen]);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  const keys = JSON.parse(words.keys);
  const rows = Object.entries(keys).flatMap(([key, text]) => [
    make("dt", {}, make("kbd", { textContent: key })),
    make("dd", { textContent: text }),
  ]);
  const help = make("dialog", { className: "cs-palette", ariaLabel: words.help }, make("dl", { className: "cs-keys" }, ...rows));
  document.body.append(help);
  help.addEventListener("click", () => help.close());

  let at = -1;
  const all = () => [...document.querySelectorAll("#result_list tr.data-row, table[data-rows] tbody tr")];
  const row = () => all()[at];
  const move = (step) => {
    row()?.classList.remove("cs-row-focus");
    at = Math.max(0, Math.min(at + step, all().length - 1));
    row()?.classList.add("cs-row-focus");
    row()?.scrollIntoView({ block: "nearest" });
    row()?.querySelector("a")?.focus({ preventScroll: true });
  };
  const press = (key) => ((row() || document).querySelector(`[data-key="${key}"]`) || document.querySelector(`[data-key="${key}"]`))?.click();
  const acts = {
    j: () => move(1),
    k: () => move(-1),
    x: () => row()?.querySelector("input[type=checkbox]")?.click(),
    Enter: () => row()?.querySelector("a")?.click(),
    e: () => press("e"),
    r: () => press("r"),
    p: () => press("p"),
    t: () => press("t"),
    ArrowLeft: () => press("left"),
    ArrowRight: () => press("right"),
    "/": () => document.getElementById("searchbar")?.focus(),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      return open();
    }
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    if (event.key.startsWith("Arrow") && !document.querySelector(`[data-key="${event.key.slice(5).toLowerCase()}"]`)) return;
    event.preventDefault();
    acts[event.key]();
  });
});
