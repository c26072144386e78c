// When a workflow is started: the form of a schedule, in a dialog, and a schedule in words.
import { ask, path } from "./api.js";
import { choose } from "./dialog.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { command, link, moment, number } from "./show.js";
import { say } from "./view.js";

const KINDS = {
  cron: ["at times of the clock", "30 2 * * 1-5", "Five fields of a crontab: minute, hour, day of the month, month, day of the week."],
  rate: ["every so often", "15 minutes", "A number of minutes, hours or days, counted from now."],
  after: ["after another workflow", "nightly", "Once after each run of this workflow that succeeds."],
};

export function when(one) {
  if (one.rate) return `every ${one.rate}`;
  if (one.after) return ["after ", link(to("schedules", one.after), one.after)];
  return one.cron ? [h("code", one.cron), ` ${one.timezone ?? "UTC"}`] : "–";
}

// What a person should know of it: what was skipped, was late or waits, and why.
export function told({ problem, skipped, missed, holding }) {
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

export const connectionField = (connections, own) => h("label.block", "Connection ", h("select", { required: true, value: own.connection, onchange: (event) => { own.connection = event.target.value; } },
  h("option", { value: "" }, "choose …"), connections.map((one) => h("option", { value: one.id }, one.id))));

function fields(own, again) {
  const [, hint, means] = KINDS[own.kind];
  const text = (name, title, placeholder) => h("label", title, h("input", { required: true, autocomplete: "off", value: own[name], placeholder, oninput: (event) => { own[name] = event.target.value; again(); } }));
  return [h("label.block", "It starts ", h("select", { value: own.kind, onchange: (event) => { Object.assign(own, { kind: event.target.value, text: "" }); again(); } },
    Object.entries(KINDS).map(([name, [title]]) => h("option", { value: name }, title)))),
  h("p.quiet", means),
  h("div.fields", text("text", own.kind === "after" ? "Workflow" : own.kind === "rate" ? "Every" : "Times", hint), own.kind === "cron" && text("timezone", "Time zone", "Europe/Berlin"),
    h("label.check", h("input", { type: "checkbox", checked: own.paused, onchange: (event) => { own.paused = event.target.checked; again(); } }), " paused: it starts nothing until it is resumed"))];
}

const said = ({ kind, text, timezone, paused }) =>
  `flowforge schedules set request.json --${kind} "${(text || KINDS[kind][1]).replace(/(["\\$`])/g, "\\$1")}"${kind === "cron" ? ` --timezone ${timezone}` : ""}${paused ? " --paused" : ""}`;

const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
