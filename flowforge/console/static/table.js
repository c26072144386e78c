// One table: columns, watermark and batches, rules and quarantine, versions, what it is made from, and a question to it.
import { ask, path } from "./api.js";
import { choose } from "./dialog.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, chip, command, facts, grid, link, moment, nothing, number, problem } from "./show.js";
import { box, quoted } from "./sql.js";
import { say } from "./view.js";

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
      h("section", { "data-key": "Ask" }, h("h2", "Ask"), box(view, `SELECT * FROM ${quoted(data.layer, data.name)} LIMIT 10`)),
      part("Columns", data.schema || {}, (told) => columns(data, told)), data.lineage && part("Made from, and makes", data.lineage, (told) => lineage(told, place)),
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
function columns({ own, history, lineage }, schema) {
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
    own.layer === "silver" && command(`flowforge schema ${own.table}`),
  ];
}

const origin = (told, name) => (told ? [told.source_type ?? "–", !told.nullable && " not null", told.source_name !== name && h("small", `as ${told.source_name}`), told.of && h("small", `made from ${told.of}`)] : h("span.quiet", "FlowForge's own"));

// Columns of other tables, each table once with its columns.
function ends(all) {
  const by = new Map();
  for (const { table, column } of all) by.set(table, [...(by.get(table) ?? []), column].filter((one, place, list) => one && list.indexOf(one) === place));
  return by.size ? [...by].map(([table, names]) => h("div", link(to("tables", table), table), names.length > 0 && [": ", h("code", names.join(", "))])) : "–";
}

function lineage(told, place) {
  const around = (from, to_) => told.edges.filter((edge) => edge[to_] === place.id).map((edge) => edge[from]);
  const names = (list, none) => (list.length ? h("ul.names", list.map((name) => h("li", ofLake(name) ? link(to("tables", name), name) : name))) : h("p.quiet", none));
  const others = told.edges.filter((edge) => edge.from !== place.id && edge.to !== place.id);
  return [
    h("div.two", h("div", h("h3", "From"), names(around("from", "to"), "nothing is known")), h("div", h("h3", "Makes"), names(around("to", "from"), "nothing"))),
    others.length > 0 && h("ul.names", others.map((edge) => h("li", `${edge.from} → ${edge.to}`))),
    h("p", "Steps around it: ", DEPTHS.map((one) => [link(place.with({ depth: one }), h((place.get("depth") || "1") === one ? "strong" : "span", one)), " "])),
    command(`flowforge lineage ${place.id} --columns`),
  ];
}

const ofLake = (name) => /^(silver|gold|quarantine)\./.test(name);

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
