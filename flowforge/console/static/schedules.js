// When workflows are started, and what became of it last; the form of a schedule; and templates: workflows whose connection is left open.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { check, chip, command, facts, field, grid, link, moment, more, nothing, number, select, text } from "./show.js";
import { choose, remove, say } from "./view.js";

export const schedules = {
  title: () => "Schedules and templates",
  every: () => 20,
  async load(place, signal) {
    const [known, shipped] = await Promise.all([ask("schedules", { query: { limit: 200, cursor: place.get("from") }, signal }), ask("templates", { signal })]);
    return { ...known, ...shipped };
  },
  draw: (data, place, view) => [
    h("section", h("h2", "Schedules"), data.schedules.length ? list(data.schedules, view)
      : nothing("No workflow has a schedule yet. ", link(to("job"), "A new job"), " or a template below can be given one.")),
    more(data, place), command("flowforge schedules list"),
    h("section", h("h2", "Templates"), templates(data.templates, view)), command("flowforge templates list"),
  ],
};

// One workflow's schedule, with its request and its next times.
export const one = {
  title: (place) => place.id,
  every: () => 20,
  load: (place, signal) => ask(path("schedules", place.id), { signal }),
  draw: (data, place, view) => [
    facts([
      ["Starts", when(data)],
      ["Next", next(data)],
      ["Then", data.next.length > 1 && data.next.slice(1).map((time, at) => [at > 0 && ", ", moment(time)])],
      ["Last run", last(data)],
      ["It followed", data.last_after && link(to("runs", data.last_after), h("code", data.last_after))],
      ["Set", moment(data.set_at)],
    ]), told(data), h("p.actions", deeds(data, view)),
    data.request && h("section", h("h2", "Its request"), text(json(data.request), "Its request")),
    command(`flowforge schedules show ${data.workflow_id}`),
  ],
};

const next = (data) => (data.paused ? chip("paused") : data.next_at ? moment(data.next_at) : data.after ? "when that succeeds" : "–");

const last = (data) => (data.last_run ? [data.last_status && [chip(data.last_status), " "], link(to("runs", data.last_run), moment(data.started_at))] : "–");

const list = (known, view) => grid({
  key: (data) => data.workflow_id,
  rows: known,
  columns: [
    { title: "Workflow", draw: (data) => [link(to("schedules", data.workflow_id), data.workflow_id), told(data)] },
    { title: "Starts", draw: when },
    { title: "Next", draw: next },
    { title: "Last start", draw: last },
    { title: "Then", draw: (data) => deeds(data, view) },
  ],
});

function deeds(data, view) {
  const id = data.workflow_id;
  const turn = data.paused ? "resume" : "pause";
  const button = (word, onclick, kind = "button") => h(kind, { onclick, "aria-label": `${word.replace(" …", "")} ${id}` }, word);
  const turned = async () => {
    try {
      await ask(path("schedules", id, turn), { method: "POST", body: {} });
      say(`${id} is ${turn}d`);
    } catch (error) {
      say(`${id}: ${error.message}`);
    }
    await view.again();
  };
  const change = () => schedule(async () => {
    const kept = await ask(path("schedules", id));
    return { request: kept.request, schedule: kept };
  }, () => view.again());
  return h("span.chips", !data.problem && button(turn === "pause" ? "Pause" : "Resume", turned), !data.problem && button("Change …", change), button("Remove …", () => gone("schedules", id, `The schedule of ${id} is removed, with its request. Runs that it has started go on.`, view), "button.quiet"));
}

const gone = (kind, id, words, view) => remove(path(kind, id), id, words, () => {
  location.hash = to("schedules");
  return view.again();
});

const KINDS = {
  cron: ["at times of the clock", "30 2 * * 1-5", "Five fields of a crontab: minute, hour, day of the month, month, day of the week.", "Times"],
  rate: ["every so often", "15 minutes", "A number of minutes, hours or days, counted from now.", "Every"],
  after: ["after another workflow", "nightly", "Once after each run of this workflow that succeeds.", "Workflow"],
};

function when(one) {
  if (one.rate) return `every ${one.rate}`;
  if (one.after) return ["after ", link(to("schedules", one.after), one.after)];
  return one.cron ? [h("code", one.cron), ` ${one.timezone ?? "UTC"}`] : "–";
}

// What a person should know of it: what was skipped, was late or waits, and why.
function told({ problem, skipped, missed, holding }) {
  return [
    problem,
    skipped && [`skipped ${number(skipped.times)} ${skipped.times === 1 ? "time" : "times"}, the last at `, moment(skipped.due), `: ${skipped.why}`],
    missed && [`${number(missed.times)} times since `, moment(missed.since), " were late and became one run"],
    holding && `waits: ${holding}`,
  ].filter(Boolean).map((text) => h("small.note", text));
}

// Sets a workflow's schedule. load() gives {request, schedule, connections}: without `connections` the request says which one is read.
export function schedule(load, done) {
  const own = { connection: "", paused: false };
  return choose({
    title: "Schedule",
    load: async () => {
      const found = await load();
      const known = found.schedule ?? {};
      const kind = Object.keys(KINDS).find((name) => known[name]) ?? "cron";
      Object.assign(own, { kind, text: known[kind] ?? "", timezone: known.timezone ?? zone(), paused: Boolean(known.paused) });
      return found;
    },
    draw: (found, again) => [h("p", "Its request is checked now, as a submission is, and submitted each time. A schedule that the workflow has is replaced."),
      found.connections && connectionField(found.connections, own), fields(own, again), command(said(own))],
    action: () => "Set the schedule",
    run: async ({ request, connections }) => {
      const wanted = connections ? from(request, own.connection) : request;
      const zoned = own.kind === "cron" ? { timezone: own.timezone } : {};
      const kept = await ask(path("schedules", String(wanted.workflow_id)), { method: "PUT", body: { request: wanted, [own.kind]: own.text, paused: own.paused, ...zoned } });
      say(`The schedule of ${kept.workflow_id} is set`);
      await done(kept);
    },
  });
}

// A request that reads from a saved connection.
export const from = (request, connectionId) => ({ ...request, source_config: { ...request.source_config, connection: { connectionId } } });

const connectionField = (connections, own) => h("label.block", "Connection ", saved(connections, own.connection, (id) => { own.connection = id; }, { required: true }));

// A choice among saved connections.
export const saved = (connections, id, then, rest) => select(id, [["", "choose …"], ...connections.map((one) => one.id)], then, rest);

function fields(own, again) {
  const [, placeholder, means, named] = KINDS[own.kind];
  const change = (changes) => { Object.assign(own, changes); again(); };
  return [h("label.block", "It starts ", select(own.kind, Object.entries(KINDS).map(([name, [title]]) => [name, title]), (kind) => change({ kind, text: "" }))),
  h("p.quiet", means),
  h("div.fields", field(named, own, "text", { placeholder }, again), own.kind === "cron" && field("Time zone", own, "timezone", { placeholder: "Europe/Berlin" }, again),
    check(own.paused, (paused) => change({ paused }), "paused: it starts nothing until it is resumed"))];
}

const said = ({ kind, text, timezone, paused }) =>
  `flowforge schedules set request.json --${kind} "${(text || KINDS[kind][1]).replace(/(["\\$`])/g, "\\$1")}"${kind === "cron" ? ` --timezone ${timezone}` : ""}${paused ? " --paused" : ""}`;

const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const NAME = "[a-z0-9_]{1,64}";

const templates = (known, view) => (known.length ? grid({
  key: (one) => one.name,
  rows: known,
  columns: [
    { title: "Template", draw: (one) => [link(to("templates", one.name), one.title), h("small", [one.about, one.saved_at && [" Saved ", moment(one.saved_at)]])] },
    { title: "Reads", draw: (one) => one.tables.join(", ") },
    { title: "Gold tables", draw: (one) => one.models.join(", ") || "–" },
    { title: "Then", draw: (one) => offers(one, view) },
  ],
}) : nothing("No template yet."));

export const template = {
  title: (place) => place.id,
  load: (place, signal) => ask(path("templates", place.id), { signal }),
  draw: (data, place, view) => [
    h("p", data.about), facts([["Workflow", data.workflow_id], ["Reads", data.tables.join(", ")], ["Gold tables", data.models.join(", ")]]),
    h("p.actions", offers(data, view)),
    models(data.request).map((one) => h("details", { "data-key": one.tableName }, h("summary", `gold.${one.tableName}`), text(one.sql, `The SQL of gold.${one.tableName}`))),
    h("details", { "data-key": "request" }, h("summary", "Its request"), text(json(data.request), "Its request")),
    command(`flowforge templates show ${data.name}`),
  ],
};

const models = (request) => request.destination_config?.goldConfig?.models ?? [];
const json = (document) => JSON.stringify(document, null, 2);

const offers = (one, view) => h("span.chips", h("button", { onclick: () => run(one), "aria-label": `Run ${one.name}` }, "Run …"),
  h("button", { onclick: () => schedule(() => filling(one), async (kept) => { location.hash = to("schedules", kept.workflow_id); await view.again(); }), "aria-label": `Schedule ${one.name}` }, "Schedule …"),
  link(to("job", "", { template: one.name }), "New job"), one.saved_at && h("button.quiet", { onclick: () => gone("templates", one.name, `The template ${one.name} is removed. Runs and schedules that came of it go on.`, view), "aria-label": `Remove ${one.name}` }, "Remove …"));

async function filling(one) {
  const [{ request }, connections] = await Promise.all([ask(path("templates", one.name)), known()]);
  return { request, connections };
}

async function known() {
  const { connections } = await ask("connections");
  return connections;
}

function run(one) {
  const own = { connection: "" };
  return choose({
    title: "Run",
    load: known,
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
  return choose({
    title: "Save as template",
    draw: () => [h("p", "Saved without its connection, it is run with any saved one. A template of that name that was saved before is replaced."),
      h("div.fields", field("Name (small letters, digits and _)", own, "name", { pattern: NAME, maxlength: "64" }), field("Title", own, "title"), field("What it does", own, "about")), command("flowforge templates save NAME request.json --title TEXT")],
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
