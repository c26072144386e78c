// The gold tables: what makes each, what it reads, whether it is current; one's text, which can be changed; and a form for a new one.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { check, chip, clock, command, facts, field, graph, grid, link, moment, more, nothing, number, problem, sign, text } from "./show.js";
import { atLine } from "./sql.js";
import { rules } from "./tables.js";
import { say } from "./view.js";

export const models = {
  title: () => "Models",
  every: () => 30,
  load: (place, signal) => ask("models", { query: { cursor: place.get("from") }, signal }),
  draw: (data, place, view) => [
    data.problems.map((one) => problem({ message: one, remedy: opened(one) })),
    data.models.length ? grid({
      caption: "Each after those that it reads",
      key: (one) => one.table,
      rows: data.models,
      columns: [
        { title: "Table", draw: (one) => [link(to("tables", `gold.${one.table}`), one.table), h("small", link(to("models", one.table), origin(one)))] },
        { title: "State", draw: (one) => [chip(one.state), one.reason && h("small", one.reason)] },
        { title: "Reads", draw: (one) => one.reads.map((name, place) => [place ? ", " : "", link(to("tables", name), name)]) },
        { title: "Built", draw: (one) => [one.strategy, one.key.length > 0 && ` by ${one.key.join(", ")}`, h("small", moment(one.built_at))] },
        { title: "Rows", right: true, draw: (one) => number(one.rows) },
        { title: "Rules", draw: (one) => rules({ rules: one.quality }) },
      ],
    }) : nothing("No gold table yet."),
    data.models.length > 0 && graph(data.models.flatMap((one) => [{ to: `gold.${one.table}` }, ...one.reads.map((name) => ({ from: name, to: `gold.${one.table}` }))]),
      { marks: Object.fromEntries(data.models.map((one) => [`gold.${one.table}`, one.state === "current" ? "" : `${sign(one.state)} `])) }),
    more(data, place), h("details", { "data-key": "write" }, h("summary", "Write a model"), writing(view, { table: "", sql: "", etag: "" })),
    command("flowforge models --tree"),
  ],
};

const origin = (one) => (one.origin === "goldConfig" ? "from a job" : one.origin);

// A file that something is wrong with can be opened.
function opened(told) {
  const name = told.match(/models\/([\w-]+)\.sql/)?.[1];
  return name && link(to("models", name), `Open models/${name}.sql`);
}

// One model: its file to be changed, or what a job has brought to be read.
export const model = {
  title: (place) => `Model of gold.${place.id}`,
  load: (place, signal) => ask(path("models", place.id), { signal }),
  draw: (data, place, view) => [
    facts([["Makes", link(to("tables", `gold.${data.table}`), `gold.${data.table}`)], ["Kept as", data.etag ? h("code", data.origin) : "a part of a job: the request that loads it changes it"]]),
    data.etag ? writing(view, data) : data.sql ? text(data.sql, "Its SQL") : nothing("No SQL makes it: it is the copy of a silver table."),
    command(`flowforge models show ${data.table}`),
  ],
};

// The form of a model as it was read, or of a new one, whose `etag` is empty.
function writing(view, { table, sql, etag }) {
  const own = (view.own.model ??= { table, sql, etag, ahead: false });
  const line = Number(own.trouble?.mistakes?.map((one) => one.problem.match(/\bline (\d+)/)?.[1]).find(Boolean));
  return h("form.sql", { onsubmit: (event) => { event.preventDefault(); put(own, view); } },
    !etag && field("Gold table ", own, "table"),
    h("label", "One SELECT (DuckDB's SQL), its settings in comments", h("textarea.code", { rows: etag ? "18" : "10", required: true, spellcheck: "false", value: own.sql, oninput: (event) => { own.sql = event.target.value; } })),
    check(own.ahead, (on) => { own.ahead = on; }, "it may read tables that are yet to be loaded"),
    h("p.actions", h("button.main", { type: "submit", disabled: own.busy }, "Save"), own.saved ? `saved at ${clock(own.saved)}; its table is built anew` : "checked against the lake, kept, and built at once"),
    own.trouble && [problem(own.trouble), atLine(line, own.asked)], !etag && command("flowforge models put FILE"));
}

const put = (own, view) => view.deed(own, async () => {
  Object.assign(own, { asked: own.sql, saved: null });
  const { etag } = await ask(path("models", own.table), { method: "PUT", body: { sql: own.sql, ahead: own.ahead, etag: own.etag } });
  Object.assign(own, { etag, saved: Date.now() });
  say(`The model of gold.${own.table} is saved`);
  location.hash = to("models", own.table);
});
