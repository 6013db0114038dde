"use strict";
// What django-unfold's templates expect of Alpine.js, whose build without eval takes components by name only.
document.addEventListener("alpine:init", () => {
  Alpine.data("theme", () => window.theme());
  Alpine.data("searchForm", () => window.searchForm());
  Alpine.data("shell", () => ({
    activeTab: "",
    sidebarMobileOpen: false,
    window: { location: { pathname: location.pathname, search: location.search } },
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    init() {
      const first = this.$el.dataset.firstTab;
      this.activeTab = (first && window.getCurrentTab?.()) || first;
      this.$watch("sidebarDesktopOpen", (open) => localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0"));
    },
  }));
});

// The dashboard's changing part is asked for again and again while its page is seen.
/* Menus close at Escape, with the focus back on their summary, and at a click elsewhere. */
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("details.cs-menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
/* A menu that would leave the window opens to the other side. */
document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target.matches?.("details.cs-menu[open]") && event.target;
    const body = menu && menu.querySelector(".cs-menu-body");
    if (!body) return;
    const box = body.getBoundingClientRect();
    if (box.right > innerWidth) menu.classList.add("cs-right");
    else if (box.left < 0) menu.classList.remove("cs-right");
  },
  true,
);
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.cs-menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});

/* After an action by a button the page is loaded again: the focus goes back to that button. */
document.addEventListener("submit", (event) => {
  const pressed = event.submitter && mark(event.submitter);
  if (pressed) sessionStorage.setItem("pressed", JSON.stringify([location.pathname, pressed]));
});
document.addEventListener("DOMContentLoaded", () => {
  const [path, pressed] = JSON.parse(sessionStorage.getItem("pressed") || "[]");
  sessionStorage.removeItem("pressed");
  if (path === location.pathname) document.querySelector(pressed)?.focus();
});

/* What the theme leaves without a name of its own: the heads of columns of buttons, and areas that scroll. */
addEventListener("load", () => {
  const words = document.getElementById("palette-words")?.dataset;
  if (!words) return;
  document.querySelectorAll("#result_list thead th").forEach((head) => {
    if (head.textContent.trim() || head.querySelector("input")) return;
    head.append(Object.assign(document.createElement("span"), { className: "cs-sr", textContent: words.actions }));
  });
  document.querySelectorAll('.simplebar-content-wrapper[role="region"]').forEach((area) => {
    area.ariaLabel = area.querySelector("#result_list") ? document.title : words.menu;
  });
});

/* A calendar opens at now. */
document.addEventListener("DOMContentLoaded", () =>
  document.querySelector("[data-now]")?.scrollIntoView({ block: "nearest", inline: "center" }),
);

/* Browsers have the clipboard by https and on localhost only. */
const copySelected = (source) => {
  const text = Object.assign(document.createElement("textarea"), { value: source.textContent.trim() });
  document.body.append(text);
  text.select();
  document.execCommand("copy");
  text.remove();
};
/* data-copy="SELECTOR": copies the text of that element. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (navigator.clipboard) await navigator.clipboard.writeText(source.textContent.trim());
  else copySelected(source);
  button.textContent = button.dataset.copied;
});

/* Tabs of a form: without a script all sections are shown. */
document.addEventListener("DOMContentLoaded", () => {
  const nav = document.querySelector("[data-tabs]");
  if (!nav) return;
  const tabs = [...nav.querySelectorAll("a")];
  const show = (tab) =>
    tabs.forEach((one) => {
      one.toggleAttribute("aria-current", one === tab);
      document.querySelector(one.hash).classList.toggle("cs-hidden", one !== tab);
    });
  tabs.forEach((tab) =>
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", tab.hash);
      show(tab);
    }),
  );
  show(tabs.find((tab) => tab.dataset.errors) || tabs.find((tab) => tab.hash === location.hash) || tabs[0]);
});
