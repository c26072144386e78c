// Workflows whose connection is left open, shipped or saved: shown, run with a saved connection, scheduled, saved, removed.
import { ask, path } from "./api.js";
import { choose } from "./dialog.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { command, facts, grid, link, moment, nothing } from "./show.js";
import { say } from "./view.js";
import { connectionField, schedule } from "./when.js";

const NAME = "[a-z0-9_]{1,64}";

export const list = (known, view) => (known.length ? grid({
  key: (one) => one.name,
  rows: known,
  columns: [
    { title: "Template", draw: (one) => [link(to("templates", one.name), one.title), h("small", [one.about, one.saved_at && [" Saved ", moment(one.saved_at)]])] },
    { title: "Reads", draw: (one) => one.tables.join(", ") },
    { title: "Gold tables", draw: (one) => one.models.join(", ") || "–" },
    { title: "Then", draw: (one) => deeds(one, view) },
  ],
}) : nothing("No template yet."));

export const template = {
  title: (place) => place.id,
  load: (place, signal) => ask(path("templates", place.id), { signal }),
  draw: (data, place, view) => [
    h("p", data.about), facts([["Workflow", data.workflow_id], ["Reads", data.tables.join(", ")], ["Gold tables", data.models.join(", ")]]),
    h("p.actions", deeds(data, view)),
    models(data.request).map((one) => h("details", { "data-key": one.tableName }, h("summary", `gold.${one.tableName}`), text(one.sql, `The SQL of gold.${one.tableName}`))),
    h("details", { "data-key": "request" }, h("summary", "Its request"), text(JSON.stringify(data.request, null, 2), "Its request")),
    command(`flowforge templates show ${data.name}`),
  ],
};

const models = (request) => request.destination_config?.goldConfig?.models ?? [];
const text = (told, label) => h("pre.code.scroll", { tabindex: "0", role: "region", "aria-label": label }, told);

const deeds = (one, view) => h("span.chips", h("button", { onclick: () => run(one), "aria-label": `Run ${one.name}` }, "Run …"),
  h("button", { onclick: () => schedule(() => filling(one), async (kept) => { location.hash = to("schedules", kept.workflow_id); await view.again(); }), "aria-label": `Schedule ${one.name}` }, "Schedule …"),
  link(to("job", "", { template: one.name }), "New job"), one.saved_at && h("button.quiet", { onclick: () => remove(one.name, view), "aria-label": `Remove ${one.name}` }, "Remove …"));

const remove = (name, view) => choose({
  title: "Remove",
  load: () => Promise.resolve({}),
  draw: () => [h("p", `The template ${name} is removed. Runs and schedules that came of it go on.`), command(`flowforge templates remove ${name}`)],
  action: () => `Remove ${name}`,
  run: async () => {
    await ask(path("templates", name), { method: "DELETE" });
    say(`${name} is removed`);
    location.hash = to("schedules");
    await view.again();
  },
});

async function filling(one) {
  const [{ request }, connections] = await Promise.all([ask(path("templates", one.name)), saved()]);
  return { request, connections };
}

async function saved() {
  const { connections } = await ask("connections");
  return connections;
}

function run(one) {
  const own = { connection: "" };
  return choose({
    title: "Run",
    load: saved,
    draw: (connections) => (connections.length ? [h("p", `${one.title}: loads ${one.tables.join(", ")}${one.models.length ? `, then builds ${one.models.join(", ")}` : ""}.`), connectionField(connections, own),
      command(`flowforge templates run ${one.name} --connection ID --watch`)] : [h("p", "No connection is saved yet. "), link(to("connections"), "Add one")]),
    action: (connections) => connections.length > 0 && "Run it",
    run: async () => {
      const accepted = await ask(path("templates", one.name, "run"), { body: { connectionId: own.connection } });
      say(`Run ${accepted.run_id} is accepted`);
      location.hash = to("runs", accepted.run_id);
    },
  });
}

// Saves a request as a template, without its connection and its label.
export function keep(request) {
  const own = { name: "", title: request.workflow_name ?? "", about: "" };
  const field = (name, title, more) => h("label.block", title, h("input", { required: true, autocomplete: "off", value: own[name], oninput: (event) => { own[name] = event.target.value; }, ...more }));
  return choose({
    title: "Save as template",
    load: () => Promise.resolve({}),
    draw: () => [h("p", "Saved without its connection, it is run with any saved one. A template of that name that was saved before is replaced."),
      field("name", "Name (small letters, digits and _)", { pattern: NAME, maxlength: "64" }), field("title", "Title"), field("about", "What it does"), command("flowforge templates save NAME request.json --title TEXT")],
    action: () => "Save it",
    run: async () => {
      const { connection, ...source } = request.source_config ?? {};
      const { batch_id, ...kept } = request;
      await ask(path("templates", own.name), { method: "PUT", body: { title: own.title, about: own.about, request: { ...kept, source_config: source } } });
      say(`Template ${own.name} is saved`);
      location.hash = to("templates", own.name);
    },
  });
}
