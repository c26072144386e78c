// When workflows are started and what became of it last; and the templates.
import { ask, path } from "./api.js";
import { choose } from "./dialog.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { chip, command, facts, grid, link, moment, nothing } from "./show.js";
import { list as templates } from "./templates.js";
import { say } from "./view.js";
import { schedule, told, when } from "./when.js";

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
    data.next && h("p.pages", link(place.with({ from: data.next }), "More")), command("flowforge schedules list"),
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
    data.request && h("section", h("h2", "Its request"), h("pre.code.scroll", { tabindex: "0", role: "region", "aria-label": "Its request" }, JSON.stringify(data.request, null, 2))),
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
  return h("span.chips", !data.problem && button(turn === "pause" ? "Pause" : "Resume", turned), !data.problem && button("Change …", change), button("Remove …", () => remove(id, view), "button.quiet"));
}

const remove = (id, view) => choose({
  title: "Remove",
  load: () => Promise.resolve({}),
  draw: () => [h("p", `The schedule of ${id} is removed, with its request. Runs that it has started go on.`), command(`flowforge schedules remove ${id}`)],
  action: () => `Remove ${id}`,
  run: async () => {
    await ask(path("schedules", id), { method: "DELETE" });
    say(`The schedule of ${id} is removed`);
    location.hash = to("schedules");
    await view.again();
  },
});
