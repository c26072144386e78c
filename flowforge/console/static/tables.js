// The lake's tables: how fresh, how many rows, what their rules found. And one of them: columns, watermark and batches, rules and
// quarantine, versions, what it is made from, some of its rows and a question to it.
import { ask, path } from "./api.js";
import { columns } from "./columns.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, check, chip, command, facts, filters, graph, grid, itsRun, kind, link, moment, more, nothing, number, problem, spark, tab } from "./show.js";
import { box, quoted } from "./sql.js";
import { choose, say } from "./view.js";

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
    return [filters(place, view, h("span.pages", LAYERS.map((one) => tab(place, "layer", one, one || "all layers"))),
      check(Boolean(place.get("only")), (on) => view.keep({ only: on && "wrong" }), "only what wants a look")), data.trouble && problem(data.trouble, { title: "The newest runs are not known" }), chosen.length ? list(chosen, data.runs, place, view)
      : nothing(data.tables.length ? "None of these tables fits." : ["The lake has no table yet: ", link("#/job", "a new job"), " loads some."]),
      more(data, place, `The tables behind these ${data.tables.length}`),
      command("flowforge watermark list")];
  },
};

const broken = (one) => (one.rules ?? []).filter((figure) => figure.failed);
const wrong = (one, runs) => one.problem || kind(one.build?.outcome ?? runs.get(one.bronze_table)?.status) === "bad" || broken(one).length > 0 || one.layer === "quarantine";

// The newest run of each bronze table.
function lastRuns(newest) {
  const found = new Map();
  for (const run of newest) for (const { table, status } of run.tables) if (!found.has(table)) found.set(table, { status, id: run.run_id, at: run.accepted_at });
  return found;
}

// What a table's last run came to: of gold its last build, else of the newest runs, else of its last batch.
function lastRun({ bronze_table, recent, build }, runs) {
  const run = runs.get(bronze_table);
  if (build) return [build.run_id ? link(to("runs", build.run_id), chip(build.outcome)) : [chip(build.outcome), " by hand"], h("small", moment(build.at))];
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
      { title: "Watermark", draw: (one) => marks(Object.entries(one.watermarks ?? {})) },
      { title: "Version", right: true, by: (one) => one.version, draw: (one) => number(one.version) },
    ],
  });
}

const marks = (known) => (known.length ? known.map(([column, value]) => [h("code", value), h("small", `of ${column}`)]) : "–");

export function rules(one) {
  if (one.layer === "quarantine") return chip("waiting", "rows kept apart");
  if (!one.rules?.length) return "–";
  const bad = broken(one);
  return bad.length ? chip("failed", `${bad.length} of ${one.rules.length} broken`) : chip("current", `${one.rules.length} hold`);
}

const DEPTHS = ["1", "2", "3", "10"];

export const table = {
  title: (place) => place.id,
  every: () => 15,
  async load(place, signal) {
    const [layer, ...rest] = place.id.split(".");
    const name = rest.join(".");
    const own = await ask(path("tables", place.id), { signal });
    const told = async (where, options) => ask(where, { ...options, signal }).catch((trouble) => ({ trouble }));
    const [quality, schema, history, lineage] = await Promise.all([
      layer !== "quarantine" && told(path(layer, name, "quality")),
      layer === "silver" && told(path("silver", name, "schema")),
      layer === "silver" && told(path("watermarks", name)),
      layer !== "quarantine" && told(path("tables", place.id, "lineage"), { query: { depth: place.get("depth") || 1, columns: true } }),
    ]);
    return { own, quality, schema, history, lineage, layer, name };
  },
  draw(data, place, view) {
    return [head(data), data.own.problem && problem({ message: data.own.problem }),
      data.history && part("Loads", data.history, batches), data.quality && part("Quality", data.quality, (told) => quality(told, data, view)),
      h("section", { "data-key": "Ask" }, h("h2", "Rows"), box(view, `SELECT * FROM ${quoted(data.layer, data.name)} LIMIT 10`, null, true)),
      part("Columns", data.schema || {}, (told) => columns(data, told, view)), data.lineage && part("Made from, and makes", data.lineage, (told) => lineage(told, place)),
      versions(data.own)];
  },
};

const part = (title, told, draw) => h("section", { "data-key": title }, h("h2", title), told.trouble ? problem(told.trouble) : draw(told));

function head({ own }) {
  return facts([
    ["Written", moment(own.written_at)],
    ["As of", Number.isInteger(own.cut) && `version ${own.cut} of the source's database`],
    ["Rows", number(own.rows)],
    ["Size", bytes(own.bytes)],
    ["Files", number(own.files)],
    ["Version", number(own.version)],
    ["Last run", own.build && lastRun(own, new Map())],
    ["Filled from", own.source_key && h("code", own.source_key)],
  ]);
}

function batches(told) {
  const claim = told.active_batch;
  return [
    facts([
      ...Object.entries(told.watermarks ?? {}).map(([column, mark]) => [`Watermark of ${column}`, [h("code", mark.value), " since ", moment(mark.committed_at)]]),
      ["Under way", claim && [chip("running", claim.state), ` batch ${claim.seq}, attempt ${claim.attempts}, silent for ${Math.round(claim.silent_seconds)} s`, claim.free_in_seconds > 0 && `, free in ${Math.ceil(claim.free_in_seconds)} s`]],
      ["Problem", told.problem],
    ]),
    told.history.length ? grid({
      caption: "Newest batches",
      key: (one) => `${one.generation}.${one.seq}`,
      rows: told.history,
      columns: [
        { title: "Batch", draw: (one) => [one.label ?? `${one.generation}.${one.seq}`, itsRun(one)] },
        { title: "State", draw: (one) => [chip(one.state === "refined" ? "success" : one.state, one.state), one.problem && h("small", one.problem)] },
        { title: "Rows", right: true, draw: (one) => number(one.records) },
        { title: "Above", draw: (one) => (one.low == null ? "the beginning" : h("code", one.low)) },
        { title: "Up to", draw: (one) => (one.high == null ? "–" : h("code", one.high)) },
        { title: "When", draw: (one) => moment(one.at) },
      ],
    }) : nothing("No batch has been taken yet."),
    told.audit?.length > 0 && grid({
      caption: "Corrections by hand",
      rows: told.audit,
      columns: ["at", "action", "column", "before", "after", "reason"].map((name) => ({ title: name, draw: (one) => (name === "at" ? moment(one.at) : one[name] ?? "–") })),
    }),
    command(`flowforge watermark get ${told.silver_table ?? told.bronze_table}`),
  ];
}

function quality(told, data, view) {
  const apart = (told.quarantine ?? []).reduce((sum, one) => sum + one.rows, 0);
  return [
    told.refused && problem({ message: `A later version was refused: ${told.refused.reason ?? ""}` }, { title: "Not published" }),
    told.rules.length ? grid({
      key: (one) => one.rule,
      rows: told.rules,
      columns: [
        { title: "Rule", draw: (one) => one.rule },
        { title: "Found", draw: (one) => (one.failed ? chip("failed", `${number(one.failed)} broke it`) : chip("current", "holds")) },
        { title: "Rows", right: true, draw: (one) => number(one.checked) },
        { title: "Then", draw: (one) => one.severity },
      ],
    }) : nothing("No rule judges this table."),
    apart > 0 && [grid({
      caption: `${number(apart)} rows in quarantine`,
      rows: told.quarantine,
      columns: [
        { title: "Reason", draw: (one) => one.reason ?? "–" },
        { title: "Batch", draw: (one) => `${one.generation}.${one.seq}` },
        { title: "Rows", right: true, draw: (one) => number(one.rows) },
      ],
    }), h("p.actions", h("button", { onclick: () => release(data.name, apart, view) }, "Release …"), " judges them anew by the newest rules")],
    command(`flowforge quality ${data.layer === "gold" ? "gold." : ""}${data.name}`),
  ];
}

const release = (name, rows, view) => choose({
  title: "Release",
  draw: () => [h("p", `${number(rows)} rows in quarantine are judged anew by the newest rules. What passes goes to silver.${name}; what does not stays apart.`), command(`flowforge quality ${name} --release`)],
  action: () => `Judge ${number(rows)} rows anew`,
  run: async () => {
    const told = await ask(path("silver", name, "release"), { method: "POST" });
    say(`${number(told.rows)} rows are judged anew`);
    await view.again();
  },
});

const lineage = (told, place) => [
  told.edges.length ? graph(told.edges, { here: place.id }) : nothing("Nothing is known yet."),
  h("p.pages", "Steps around it: ", DEPTHS.map((one) => tab(place, "depth", one, one, place.get("depth") || "1"))),
  command(`flowforge lineage ${place.id} --columns`),
];

function versions(own) {
  return own.versions.length > 0 && h("section", h("h2", "Versions"), grid({
    key: (one) => one.version,
    rows: own.versions,
    columns: [
      { title: "Version", draw: (one) => number(one.version) },
      { title: "Written", draw: (one) => moment(one.at) },
      { title: "By", draw: (one) => one.operation ?? "–" },
    ],
  }));
}
