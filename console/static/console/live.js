"use strict";
/* Parts of a page that renew themselves: data-live is the address of the part, data-every the seconds between two
   questions. The server answers 304 while nothing has changed, and X-Renew: never when nothing will. */
const mark = (element) => {
  if (!element || element === document.body) return "";
  if (element.id) return `#${CSS.escape(element.id)}`;
  for (const name of ["formaction", "href", "data-mark"]) {
    const value = element.getAttribute(name);
    if (value) return `[${name}="${CSS.escape(value)}"]`;
  }
  return "";
};

const renew = (part) => {
  let tag = "";
  const timer = setInterval(async () => {
    const busy = part.querySelector("details[open]:not([data-renews]), dialog[open]") || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName);
    if (document.hidden || busy) return;
    try {
      const answer = await fetch(part.dataset.live, {
        headers: { "X-Requested-With": "XMLHttpRequest", ...(tag && { "If-None-Match": tag }) },
      });
      if (answer.redirected || answer.status >= 400) return clearInterval(timer);
      if (answer.headers.get("X-Renew") === "never") clearInterval(timer);
      if (answer.status !== 200) return;
      tag = answer.headers.get("ETag") || "";
      const held = part.contains(document.activeElement) ? mark(document.activeElement) : "";
      const folds = [...part.querySelectorAll("details[data-renews]")].map((fold) => [mark(fold), fold.open]);
      part.innerHTML = await answer.text();
      folds.forEach(([fold, open]) => part.querySelector(fold)?.toggleAttribute("open", open));
      if (held) part.querySelector(held)?.focus();
      retitle();
      countDown();
    } catch {
      /* the next try comes soon */
    }
  }, 1000 * Number(part.dataset.every));
};

/* The page's title and icon tell the state: data-title and data-icon of a part. */
const retitle = () => {
  const told = document.querySelector("[data-title]");
  if (told) document.title = told.dataset.title;
  const icon = document.querySelector("[data-icon]")?.dataset.icon;
  const link = document.querySelector("link[rel=icon]");
  if (icon && link && link.getAttribute("href") !== icon) link.setAttribute("href", icon);
};

/* <time datetime="..." data-count-down>: the time that is left, in the page's language. */
const countDown = () => {
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { style: "short" });
  document.querySelectorAll("time[data-count-down]").forEach((time) => {
    const seconds = Math.round((new Date(time.dateTime) - Date.now()) / 1000);
    if (seconds < 0 || seconds > 86400) return;
    const [size, unit] = seconds < 120 ? [1, "second"] : seconds < 5400 ? [60, "minute"] : [3600, "hour"];
    time.textContent = words.format(Math.round(seconds / size), unit);
    time.dataset.near = "";
  });
};

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-live]").forEach(renew);
  retitle();
  countDown();
  setInterval(countDown, 1000);
});
