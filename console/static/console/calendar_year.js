"use strict";
// The year view of a business calendar: a click lists a day as closed or open, another takes it back.
document.addEventListener("DOMContentLoaded", () => {
  const list = document.querySelector("[data-calendar-days]");
  if (!list) return;
  const read = () => new Map(list.value.split("\n").filter((line) => line.trim()).map((line) => [line.trim().split(/[\s,]+/)[0], line]));
  const write = (lines) => {
    list.value = [...lines.keys()].sort().map((day) => lines.get(day)).join("\n");
  };
  const show = (button, line) => {
    const isOpen = line && /^\S+\s+(open|営業日?)(\s|$)/.test(line.trim());
    button.classList.toggle("cs-listed", Boolean(line));
    button.classList.toggle("cs-closed", line ? !isOpen : Boolean(button.dataset.natural));
  };
  const buttons = document.querySelectorAll("button[data-day]");
  buttons.forEach((button) =>
    button.addEventListener("click", () => {
      const lines = read(),
        day = button.dataset.day;
      if (lines.has(day)) lines.delete(day);
      else lines.set(day, `${day} ${button.dataset.natural ? "open" : "closed"}`);
      write(lines);
      show(button, lines.get(day));
    }),
  );
  const showAll = () => {
    const lines = read();
    buttons.forEach((button) => show(button, lines.get(button.dataset.day)));
  };
  list.addEventListener("input", showAll);
  showAll();
});
