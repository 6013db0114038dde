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
  let timer = 0;
  const showPreview = async () => {
    if (!cron.value.trim()) return preview.classList.add("cs-hidden");
    const query = new URLSearchParams({ cron: cron.value, job: tools.dataset.job });
    const found = await (await fetch(`${tools.dataset.preview}?${query}`)).json();
    const list = document.createElement("ol");
    (found.fires || []).forEach((fire) => list.append(element("li", fire)));
    preview.replaceChildren(element("strong", found.words || found.error), list);
    preview.classList.toggle("cs-bad", Boolean(found.error));
    preview.classList.remove("cs-hidden");
  };
  cron.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(showPreview, 250);
  });
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
    read();
  }

  const answer = document.getElementById("test-answer");
  for (const [id, address] of [
    ["test-run", tools.dataset.test],
    ["check-workflow", tools.dataset.check],
  ]) {
    const button = document.getElementById(id);
    button?.addEventListener("click", async () => {
      answer.textContent = words.wait;
      answer.className = "cs-preview";
      button.disabled = true;
      try {
        const found = await (await fetch(address, { method: "POST", body: new FormData(cron.form) })).json();
        answer.textContent = `${found.ok ? "✓" : "✗"} ${found.status_code ?? ""} ${found.message ?? found.error ?? ""}`;
        answer.className = found.ok ? "cs-preview" : "cs-preview cs-bad";
      } finally {
        button.disabled = false;
      }
    });
  }
});
