"use strict";
// The form of a job: the schedule's preview, the metadata's check, the test run.
document.addEventListener("DOMContentLoaded", () => {
  const tools = document.querySelector("[data-preview]");
  const cron = document.getElementById("id_cron_expression");
  if (!tools || !cron) return;
  const words = document.getElementById("json-words").dataset;
  const element = (name, text, kind) =>
    Object.assign(document.createElement(name), { textContent: text, className: kind || "" });

  const preview = document.getElementById("cron-preview");
  cron.closest(".field-cron_expression, .field-line, div").append(preview);
  cron.setAttribute("aria-describedby", "cron-preview");
  const times = [...document.querySelectorAll(tools.dataset.times)];
  let timer = 0;
  const showPreview = async () => {
    if (!cron.value.trim()) return preview.classList.add("cs-hidden");
    const query = new URLSearchParams({ cron: cron.value, job: tools.dataset.job });
    const kind = document.querySelector("input[name=target_kind]:checked");
    const credential = document.getElementById("id_github_credential");
    if (kind) query.set("target_kind", kind.value);
    if (credential) query.set("github_credential", credential.value);
    times.forEach((field) => query.set(field.name, field.type === "checkbox" ? (field.checked ? "on" : "") : field.value));
    const found = await (await fetch(`${tools.dataset.preview}?${query}`)).json();
    const list = document.createElement("ol");
    (found.fires || []).forEach((fire) => {
      const row = element("li", "");
      row.append(element(fire.runs ? "span" : "s", fire.time), " ", element("span", fire.note, "cs-quiet"));
      list.append(row);
    });
    preview.replaceChildren(element("strong", found.words || found.error), list);
    if (found.budget) preview.append(element("p", found.budget, "cs-over"));
    preview.classList.toggle("cs-bad", Boolean(found.error));
    preview.classList.remove("cs-hidden");
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(showPreview, 250);
  };
  [cron, ...times].forEach((field) => field.addEventListener("input", later));
  document
    .querySelectorAll("input[name=target_kind], #id_github_credential")
    .forEach((field) => field.addEventListener("change", later));
  showPreview();

  const kinds = document.querySelectorAll("input[name=target_kind]");
  const fieldsOf = JSON.parse(tools.dataset.kinds);
  const row = (name) => {
    const input = document.getElementById(`id_${name}`);
    return input?.closest(`.field-${name}`) || input?.parentElement;
  };
  const showTarget = () => {
    const chosen = [...kinds].find((kind) => kind.checked)?.value;
    Object.entries(fieldsOf).forEach(([kind, names]) =>
      names.forEach((name) => row(name)?.classList.toggle("cs-hidden", kind !== chosen)),
    );
    document.getElementById("check-workflow")?.classList.toggle("cs-hidden", chosen !== "github");
  };
  kinds.forEach((kind) => kind.addEventListener("change", showTarget));
  if (kinds.length) showTarget();

  const json = document.querySelector("textarea[data-json]");
  if (json) {
    const note = element("p", "", "cs-quiet"),
      tidy = element("button", words.tidy, "cs-button cs-small");
    note.id = "json-note";
    note.setAttribute("role", "status");
    tidy.type = "button";
    json.setAttribute("aria-describedby", "json-note");
    json.after(note, tidy);
    const read = () => {
      try {
        const value = JSON.parse(json.value || "{}");
        if (value === null || Array.isArray(value) || typeof value !== "object") throw new Error(typeof value);
        note.textContent = words.good;
        note.className = "cs-quiet";
        return value;
      } catch (error) {
        note.textContent = `${words.bad} ${error.message}`;
        note.className = "cs-over";
        return null;
      }
    };
    json.addEventListener("input", read);
    tidy.addEventListener("click", () => {
      const value = read();
      if (value) json.value = JSON.stringify(value, null, 2);
    });
    // The help says what it is, until it is something else.
    if (read()) note.textContent = "";
  }

  const end = document.getElementById("id_end_date");
  if (end) {
    const later = (months) => {
      const day = new Date();
      day.setMonth(day.getMonth() + months);
      return day.toLocaleDateString("sv");
    };
    const chips = [
      [words.months, () => later(3)],
      [words.year, () => later(12)],
      [words.never, () => "2099-12-31"],
    ].map(([text, day]) => {
      const chip = Object.assign(element("button", text, "cs-button cs-small"), { type: "button" });
      chip.addEventListener("click", () => (end.value = day()));
      return chip;
    });
    const bar = element("div", "", "cs cs-bar");
    bar.append(...chips);
    end.closest(".field-end_date, .field-line, div").append(bar);
  }

  const answer = document.getElementById("test-answer");
  const show = (selector, text) => {
    const part = answer.querySelector(selector);
    part.classList.toggle("cs-hidden", !text);
    (part.querySelector("pre") || part).textContent = text || "";
  };
  for (const [id, address] of [
    ["test-run", tools.dataset.test],
    ["preview-request", tools.dataset.request],
    ["check-workflow", tools.dataset.check],
  ]) {
    const button = document.getElementById(id);
    button?.addEventListener("click", async () => {
      show("#test-said", words.wait);
      show("#test-request");
      show("#test-head");
      show("#test-body");
      answer.className = "cs cs-panel";
      answer.scrollIntoView({ block: "nearest" });
      button.disabled = true;
      try {
        const found = await (await fetch(address, { method: "POST", body: new FormData(cron.form) })).json();
        const took = found.seconds === undefined ? "" : `${found.seconds} s`;
        const said = [found.ok ? "✓" : "✗", found.status_code, took, found.message ?? found.error];
        show("#test-said", said.filter(Boolean).join(" · "));
        show("#test-request", found.request);
        show("#test-head", found.headers);
        show("#test-body", found.body);
        answer.className = found.ok ? "cs cs-panel" : "cs cs-panel cs-banner cs-bad";
        answer.focus({ preventScroll: true });
        answer.scrollIntoView({ block: "nearest" });
      } finally {
        button.disabled = false;
      }
    });
  }
});
