"use strict";
// The form of a job: what GitHub offers for repository, workflow, branch and inputs. Every value can be typed as well.
document.addEventListener("DOMContentLoaded", () => {
  const tools = document.querySelector("[data-pick]");
  const field = (name) => document.getElementById(`id_${name}`);
  const [owner, repo, workflow, ref, credential, metadata] = [
    "github_owner", "github_repo", "github_workflow_name", "github_ref", "github_credential", "metadata",
  ].map(field);
  if (!tools || !owner || !repo || !workflow) return;
  const words = document.getElementById("json-words").dataset;
  const make = (name, values) => Object.assign(document.createElement(name), values);

  const list = (input) => {
    const offered = make("datalist", { id: `${input.id}-offered` });
    input.setAttribute("list", offered.id);
    input.autocomplete = "off";
    input.after(offered);
    return (values) => offered.replaceChildren(...values.map((value) => make("option", { value })));
  };
  const offer = { owner: list(owner), repo: list(repo), workflow: list(workflow), ref: ref && list(ref) };
  const note = make("p", { className: "cs-quiet" });
  note.setAttribute("role", "status");
  workflow.after(note);
  const panel = make("fieldset", { className: "cs cs-inputs cs-hidden" });
  metadata?.before(panel);

  const read = () => {
    try {
      const value = JSON.parse(metadata.value || "{}");
      return value && typeof value === "object" && !Array.isArray(value) ? value : null;
    } catch {
      return null;
    }
  };
  const write = (name, value) => {
    const given = read();
    if (!given) return;
    if (value === "") delete given[name];
    else given[name] = value;
    metadata.value = JSON.stringify(given, null, 2);
    metadata.dispatchEvent(new Event("input"));
  };
  const control = (input, value) => {
    const options = input.type === "boolean" ? ["true", "false"] : input.options;
    if (!options.length) {
      const type = input.type === "number" ? "number" : "text";
      return make("input", { type, value, placeholder: input.default, step: "any" });
    }
    const select = make("select", {});
    const known = options.includes(value) || !value ? options : [value, ...options];
    select.append(make("option", { value: "", textContent: input.default ? `(${input.default})` : "" }));
    select.append(...known.map((option) => make("option", { value: option, textContent: option })));
    select.value = value;
    return select;
  };
  const isShown = () => !owner.closest(".cs-hidden");
  let known = [];
  const showInputs = (inputs) => {
    known = inputs;
    const given = read() || {};
    panel.replaceChildren(make("legend", { textContent: words.inputs }));
    inputs.forEach((input) => {
      const stored = given[input.name];
      const chosen = control(input, stored === undefined ? "" : typeof stored === "string" ? stored : JSON.stringify(stored));
      chosen.id = `input-${input.name}`;
      chosen.addEventListener("change", () => write(input.name, chosen.value));
      const title = `${input.name}${input.required ? ` (${words.required})` : ""}`;
      const row = make("p", {});
      row.append(make("label", { htmlFor: chosen.id, textContent: title }), chosen);
      if (input.description) row.append(make("span", { className: "cs-quiet", textContent: input.description }));
      panel.append(row);
    });
    panel.classList.toggle("cs-hidden", !inputs.length || !metadata || !isShown());
  };

  let timer = 0,
    asked = "";
  const ask = async () => {
    const query = new URLSearchParams();
    [owner, repo, workflow, ref, credential].forEach((one) => one && query.set(one.name, one.value));
    if (`${query}` === asked) return;
    asked = `${query}`;
    const answer = await fetch(`${tools.dataset.pick}?${query}`);
    const found = await answer.json();
    if (`${query}` !== asked) return;
    const names = (found.repositories || []).map((name) => name.split("/"));
    offer.owner([...new Set(names.map(([first]) => first))]);
    offer.repo(names.filter(([first]) => !owner.value || first === owner.value).map(([, second]) => second));
    offer.workflow(found.workflows || []);
    offer.ref?.(found.branches || []);
    note.textContent = repo.value ? found.problem || "" : "";
    showInputs(found.inputs || []);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 400);
  };
  document.querySelectorAll("input[name=target_kind]").forEach((kind) =>
    // After the other script has shown the fields of the kind.
    kind.addEventListener("change", () => setTimeout(() => showInputs(known))),
  );
  [owner, repo, workflow, ref, credential].forEach((one) => one?.addEventListener("input", later));
  [owner, repo, workflow].forEach((one) => one.addEventListener("focus", later));
  credential?.addEventListener("change", later);
  if (isShown() && repo.value) later();
});
