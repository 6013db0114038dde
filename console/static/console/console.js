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
document.addEventListener("DOMContentLoaded", () => {
  const board = document.querySelector("[data-live]");
  if (!board) return;
  setInterval(
    async () => {
      if (document.hidden || board.contains(document.activeElement)) return;
      try {
        const answer = await fetch(board.dataset.live, { headers: { "X-Requested-With": "XMLHttpRequest" } });
        if (answer.ok && !answer.redirected) board.innerHTML = await answer.text();
      } catch {
        /* the next try comes soon */
      }
    },
    1000 * Number(board.dataset.every),
  );
});
