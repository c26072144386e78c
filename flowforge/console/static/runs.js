// The newest runs: which are under way, which failed.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { age, between, chip, command, grid, kind, link, moment, nothing } from "./show.js";

const SHOWN = 50;
export const under = (status) => status === "running" || status === "accepted";

export const runs = {
  title: () => "Runs",
  every: (data) => (data.runs.some((run) => under(run.status)) ? 3 : 10),
  load: (place, signal) =>
    ask("runs", { query: { limit: SHOWN, workflow_id: place.get("workflow"), cursor: place.get("from") }, signal }),
  draw(data, place, view) {
    const set = (changes) => { place.keep(changes); view.redraw(); };
    const chosen = data.runs.filter((run) => fits(run, place.get("status"), place.get("find").toLowerCase()));
    return [filters(place, set), chosen.length ? list(chosen) : nothing(data.runs.length ? "None of these runs fits." : empty(place)),
      pages(data, place), command(`flowforge status${place.get("workflow") ? ` --workflow ${place.get("workflow")}` : ""}`)];
  },
};

const empty = (place) => (place.get("workflow") ? "This workflow has no run." : "No run yet: a new job starts one.");

function fits(run, status, words) {
  const told = [run.run_id, run.workflow_id, run.workflow_name, run.job_id, run.job_name, ...run.tables.map((one) => one.table)];
  if (words && !told.some((one) => one?.toLowerCase().includes(words))) return false;
  if (status === "under way") return under(run.status);
  if (status === "failed") return kind(run.status) === "bad";
  return status ? run.status === status : true;
}

function filters(place, set) {
  return h("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() },
    h("label", "Find ", h("input", { type: "search", value: place.get("find"), oninput: (event) => set({ find: event.target.value }) })),
    h("label", "Status ", h("select", { value: place.get("status"), onchange: (event) => set({ status: event.target.value }) },
      ["", "under way", "failed", "succeeded"].map((one) => h("option", { value: one }, one || "all")))),
    place.get("workflow") && h("span", "of ", h("code", place.get("workflow")), " ", link(place.with({ workflow: "" }), "show all")));
}

function list(chosen) {
  return grid({
    caption: "Newest first",
    key: (run) => run.run_id,
    rows: chosen,
    columns: [
      { title: "Status", draw: (run) => chip(run.status) },
      { title: "Run", draw: (run) => [link(to("runs", run.run_id), run.job_name || run.job_id || run.run_id), h("small", run.run_id)] },
      { title: "Workflow", draw: (run) => run.workflow_id && link(to("runs", "", { workflow: run.workflow_id }), run.workflow_name || run.workflow_id) },
      { title: "Tables", draw: counts },
      { title: "Requested", draw: (run) => moment(run.accepted_at) },
      { title: "Took", right: true, draw: took },
    ],
  });
}

export function counts(run) {
  const by = new Map();
  for (const { status } of run.tables) by.set(status, (by.get(status) ?? 0) + 1);
  return by.size ? h("span.chips", [...by].map(([status, count]) => chip(status, `${count.toLocaleString("en")} ${status}`))) : "–";
}

export function took(run) {
  if (under(run.status)) return age(run.accepted_at);
  return run.finished_at && run.accepted_at ? between(run.accepted_at, run.finished_at) : "–";
}

function pages(data, place) {
  const newest = place.get("from") && link(place.with({ from: "" }), "Newest");
  const older = data.next && link(place.with({ from: data.next }), `Older than these ${data.runs.length}`);
  return (newest || older) && h("p.pages", newest, older);
}
