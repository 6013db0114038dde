"use strict";
/* The contrast of two colours (WCAG 2.2, "contrast ratio"). */
const light = (color) => {
  const [red, green, blue] = color.match(/[\d.]+/g).map((part) => Number(part) / 255);
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
};
const contrast = (one, other) => {
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const behind = (one) => {
  for (let at = one.parentElement; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!/rgba\(.*, 0(\.\d+)?\)/.test(color)) return color;
  }
  return "rgb(255, 255, 255)";
};

/* What is wrong with the controls of a page that can be seen. */
const look = () => {
  const shown = (one) => {
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    const hidden = one.closest("[hidden], .cs-sr, details:not([open]) > *:not(summary), #nav-sidebar");
    return box.width > 1 && box.height > 1 && style.visibility !== "hidden" && style.opacity !== "0" && !hidden && one.offsetParent;
  };
  const told = (one) => one.outerHTML.slice(0, 140).replace(/\s+/g, " ");
  const controls = [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary")].filter(shown);
  const found = [];
  for (const one of controls) {
    const unreachable = (one.tabIndex < 0 && !one.disabled) || (one.tagName === "A" && !one.hasAttribute("href"));
    if (unreachable) found.push(`Tab does not reach ${told(one)}`);
    const style = getComputedStyle(one);
    const typed = /^(INPUT|SELECT|TEXTAREA)$/.test(one.tagName) && !["checkbox", "radio", "file", "submit"].includes(one.type);
    const edge = parseFloat(style.borderTopWidth) > 0 || style.boxShadow !== "none" || style.outlineStyle !== "none";
    if (typed && !one.disabled && !edge) found.push(`no edge: ${told(one)}`);
    if (typed && !one.disabled && parseFloat(style.borderTopWidth) > 0) {
      const ratio = contrast(style.borderTopColor, behind(one));
      if (ratio < 2.9) found.push(`edge of ${ratio.toFixed(1)}:1: ${told(one)}`);
    }
    const named =
      one.getAttribute("aria-label") || one.textContent.trim() || one.title || one.value || one.labels?.length ||
      one.getAttribute("aria-labelledby") || one.querySelector?.("[aria-label], title, img[alt]");
    if (!named) found.push(`no name: ${told(one)}`);
  }
  const floating = "svg, dialog, #submit-row, #changelist-actions, #changelist-actions-wrapper";
  const boxes = controls.filter((one) => !one.closest(floating)).map((one) => [one, one.getBoundingClientRect()]);
  for (const [index, [one, box]] of boxes.entries())
    for (const [other, its] of boxes.slice(index + 1, index + 40)) {
      const related = one.contains(other) || other.contains(one) || (other.closest("label") && other.closest("label") === one.closest("label"));
      const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
      const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
      if (!related && wide > 3 && high > 3) found.push(`overlap: ${told(one)} AND ${told(other)}`);
    }
  for (const one of document.querySelectorAll("[x-on\\:click], [onclick]"))
    if (shown(one) && !/^(A|BUTTON|SUMMARY|INPUT|LABEL)$/.test(one.tagName)) found.push(`pressed, but no control: ${told(one)}`);
  for (const row of document.querySelectorAll("tr.data-row")) {
    const below = row.getBoundingClientRect();
    const isCut = (cell) => {
      const box = cell.getBoundingClientRect();
      return box.height > 1 && box.bottom > below.bottom + 1;
    };
    const cut = [...row.children].filter(isCut);
    if (cut.length) found.push(`cut off by its row: ${told(cut[0])}`);
    if (innerWidth < 500 && below.height > 96.5) found.push(`a row of ${below.height} px: ${told(row)}`);
  }
  const root = document.documentElement;
  if (root.scrollWidth - root.clientWidth > 1) found.push("wider than the window");
  return found;
};

/* The texts of a page, but for what people and targets have written: names, addresses, expressions, answers. */
const texts = () => {
  const written = "script, style, code, pre, title, textarea, option, [translate=no], .material-symbols-outlined, [lang=en]";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(written)) found.push(walker.currentNode.textContent);
  for (const name of ["aria-label", "placeholder", "title"])
    for (const one of document.querySelectorAll(`[${name}]`)) if (!one.closest("[translate=no]")) found.push(one.getAttribute(name));
  return found;
};
