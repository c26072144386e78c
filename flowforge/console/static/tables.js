// The lake's tables: how fresh, how many rows, what their rules found.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, check, chip, command, find, grid, kind, link, moment, more, nothing, number, problem, spark } from "./show.js";

const [FIRST, MOST, NEWEST_RUNS] = [15, 200, 50];
const LAYERS = ["", "silver", "gold", "quarantine"];

export const tables = {
  title: () => "Tables",
  every: (data) => Math.max(20, data.seconds * 10),
  // A page of tables, the first few of them at once; and the newest runs, which tell of loads that failed or are under way.
  async load(place, signal, show) {
    const started = Date.now();
    const some = (limit, cursor) => ask("tables", { query: { limit, layer: place.get("layer"), cursor }, signal });
    let [found, newest] = await Promise.all([some(FIRST, place.get("from")), ask("runs", { query: { limit: NEWEST_RUNS }, signal }).catch((trouble) => ({ trouble }))]);
    const data = { ...found, trouble: newest.trouble, runs: lastRuns(newest.runs ?? []) };
    while (found.next && data.tables.length < MOST) {
      show({ ...data, next: null });
      found = await some(MOST - data.tables.length, found.next);
      Object.assign(data, { tables: [...data.tables, ...found.tables], next: found.next });
    }
    return { ...data, seconds: Math.round((Date.now() - started) / 1000) };
  },
  draw(data, place, view) {
    const words = place.get("find").toLowerCase();
    const chosen = data.tables.filter((one) => `${one.layer}.${one.table}`.toLowerCase().includes(words) && (!place.get("only") || wrong(one, data.runs)));
    return [filters(place, view), data.trouble && problem(data.trouble, { title: "The newest runs are not known" }), chosen.length ? list(chosen, data.runs, place, view)
      : nothing(data.tables.length ? "None of these tables fits." : ["The lake has no table yet: ", link("#/job", "a new job"), " loads some."]),
      more(data, place, `The tables behind these ${data.tables.length}`),
      command("flowforge watermark list")];
  },
};

const broken = (one) => (one.rules ?? []).filter((figure) => figure.failed);
const wrong = (one, runs) => one.problem || kind(runs.get(one.bronze_table)?.status) === "bad" || broken(one).length > 0 || one.layer === "quarantine";

function filters(place, view) {
  return h("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() },
    find(place.get("find"), (words) => view.keep({ find: words })),
    h("span", LAYERS.map((one) => [link(place.with({ layer: one, from: "" }), h(place.get("layer") === one ? "strong" : "span", one || "all layers")), " "])),
    check(Boolean(place.get("only")), (on) => view.keep({ only: on && "wrong" }), "only what wants a look"));
}

// The newest run of each bronze table.
function lastRuns(newest) {
  const found = new Map();
  for (const run of newest) for (const { table, status } of run.tables) if (!found.has(table)) found.set(table, { status, id: run.run_id, at: run.accepted_at });
  return found;
}

// What a table's last run came to: of the newest runs, else of its last batch.
function lastRun({ bronze_table, recent }, runs) {
  const run = runs.get(bronze_table);
  if (run) return [link(to("runs", run.id), chip(run.status)), h("small", moment(run.at))];
  return recent ? [link(to("runs", recent.run_id), chip(recent.rows.at(-1) ? "loaded" : "empty")), h("small", moment(recent.at))] : "–";
}

function list(chosen, runs, place, view) {
  return grid({
    key: (one) => `${one.layer}.${one.table}`,
    rows: chosen,
    sort: { by: place.get("sort"), go: (sort) => view.keep({ sort }) },
    columns: [
      { title: "Table", by: (one) => `${one.layer}.${one.table}`, draw: (one) => [link(to("tables", `${one.layer}.${one.table}`), h("span.quiet", `${one.layer}.`), one.table), one.problem && h("small.note", one.problem)] },
      { title: "Written", by: (one) => one.written_at, draw: (one) => moment(one.written_at) },
      { title: "Rows", right: true, by: (one) => one.rows, draw: (one) => number(one.rows) },
      { title: "Last run", draw: (one) => lastRun(one, runs) },
      { title: "Rows of each batch", draw: (one) => spark(one.recent?.rows, "Rows of each batch") },
      { title: "Size", right: true, by: (one) => one.bytes, draw: (one) => bytes(one.bytes) },
      { title: "Rules", draw: rules },
      { title: "Watermark", draw: (one) => Object.entries(one.watermarks ?? {}).map(([column, value]) => [h("code", value), h("small", `of ${column}`)]) },
      { title: "Version", right: true, by: (one) => one.version, draw: (one) => number(one.version) },
    ],
  });
}

export function rules(one) {
  if (one.layer === "quarantine") return chip("waiting", "rows kept apart");
  if (!one.rules?.length) return "–";
  const bad = broken(one);
  return bad.length ? chip("failed", `${bad.length} of ${one.rules.length} broken`) : chip("current", `${one.rules.length} hold`);
}
