// The lake's tables: how fresh, how many rows, what their rules found. And one of them: columns, watermark and batches, rules and
// quarantine, versions, what it is made from, some of its rows and a question to it.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, check, chip, command, facts, field, find, graph, grid, kind, link, moment, more, nothing, number, ofLake, problem, select, spark } from "./show.js";
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
    return [filters(place, view), data.trouble && problem(data.trouble, { title: "The newest runs are not known" }), chosen.length ? list(chosen, data.runs, place, view)
      : nothing(data.tables.length ? "None of these tables fits." : ["The lake has no table yet: ", link("#/job", "a new job"), " loads some."]),
      more(data, place, `The tables behind these ${data.tables.length}`),
      command("flowforge watermark list")];
  },
};

const broken = (one) => (one.rules ?? []).filter((figure) => figure.failed);
const wrong = (one, runs) => one.problem || kind(one.build?.outcome ?? runs.get(one.bronze_table)?.status) === "bad" || broken(one).length > 0 || one.layer === "quarantine";

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
        { title: "Batch", draw: (one) => [one.label ?? `${one.generation}.${one.seq}`, one.run_id && h("small", link(to("runs", one.run_id), "its run"))] },
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

// Each column from the source's type to this layer's, with what a person has decided, what it is made from and what it makes.
function columns({ own, history, lineage, name: silver }, schema, view) {
  const decided = new Map((schema.columns ?? []).map((one) => [one.name, one.decided]));
  const source = new Map((history?.columns ?? []).map((one) => [one.name, one]));
  const edges = lineage?.columns ?? [];
  const name = `${own.layer}.${own.table}`;
  const beside = (column, here, there) => edges.filter((one) => one[here].table === name && one[here].column === column && one[there].table !== name && ofLake(one[there].table)).map((one) => one[there]);
  const from = (column) => (own.layer === "silver" ? [] : beside(column, "to", "from"));
  const lists = { from, to: (column) => beside(column, "from", "to") };
  const any = (which) => own.columns.some((one) => lists[which](one.name).length);
  return [
    schema.identity && h("p", "Rows are told apart by ", h("code", schema.identity), schema.keeps_key && ", whatever the source's key is", "."),
    schema.dropped?.length > 0 && h("p.note", `Gone at the source: ${schema.dropped.map((one) => one.name ?? one).join(", ")}`),
    h("details", { open: own.columns.length <= 30 }, h("summary", `${own.columns.length} columns`), grid({
      key: (one) => one.name,
      rows: own.columns,
      columns: [
        { title: "Column", draw: (one) => h("code", one.name) },
        source.size > 0 && { title: "At the source", draw: (one) => origin(source.get(one.name), one.name) },
        source.size > 0 && { title: "In bronze", draw: (one) => source.get(one.name)?.type ?? "–" },
        { title: own.layer === "silver" ? "In silver" : "Type", draw: (one) => one.type },
        own.layer === "silver" && { title: "Decided by a person", draw: (one) => decided.get(one.name) ?? "–" },
        any("from") && { title: "Made from", draw: (one) => ends(from(one.name)) },
        any("to") && { title: "Makes", draw: (one) => ends(lists.to(one.name)) },
      ].filter(Boolean),
    })),
    own.layer === "silver" && [h("p.actions", h("button", { onclick: () => decide(silver, own, view) }, "Decide …"), " a column's type, or that what changed at the source is taken"), command(`flowforge schema ${own.table}`)],
  ];
}

// What a person decides about a table's columns.
function decide(name, { columns }, view) {
  const own = { what: "types", column: columns[0]?.name, type: "varchar(100)" };
  const body = () => (own.what === "types" ? { types: { [own.column]: own.type } } : { [own.what]: true });
  return choose({
    title: "Decide",
    draw: (_, again) => [
      h("label.block", "What ", select(own.what, [["types", "the type of a column"], ["accept", "what changed at the source is taken"], ["keep_key", "the key stays, whatever the source's is"]], (what) => { own.what = what; again(); })),
      own.what === "types" && h("div.fields", h("label", "Column", select(own.column, columns.map((one) => one.name), (column) => { own.column = column; again(); })), field("Type, as SQL Server names it", own, "type", {}, again)),
      command(`flowforge schema ${name} ${own.what === "types" ? `--type ${own.column}="${own.type}"` : `--${own.what.replace("_", "-")}`}`)],
    action: () => "Decide so",
    run: async () => {
      await ask(path("silver", name, "schema"), { method: "PUT", body: body() });
      say(`It is decided for silver.${name}`);
      await view.again();
    },
  });
}

const origin = (told, name) => (told ? [told.source_type ?? "–", !told.nullable && " not null", told.source_name !== name && h("small", `as ${told.source_name}`), told.of && h("small", `made from ${told.of}`)] : h("span.quiet", "FlowForge's own"));

// Columns of other tables, each table once with its columns.
function ends(all) {
  const by = new Map();
  for (const { table, column } of all) by.set(table, [...(by.get(table) ?? []), column].filter((one, place, list) => one && list.indexOf(one) === place));
  return by.size ? [...by].map(([table, names]) => h("div", link(to("tables", table), table), names.length > 0 && [": ", h("code", names.join(", "))])) : "–";
}

const lineage = (told, place) => [
  told.edges.length ? graph(told.edges, { here: place.id }) : nothing("Nothing is known yet."),
  h("p", "Steps around it: ", DEPTHS.map((one) => [link(place.with({ depth: one }), h((place.get("depth") || "1") === one ? "strong" : "span", one)), " "])),
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
