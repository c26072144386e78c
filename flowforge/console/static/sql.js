// A box for one SELECT over the lake, now or as it was, whose answer stays on the page until the next question; and the gold tables:
// what makes each, what it reads, whether it is current, and a form for a model.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { check, chip, command, field, graph, grid, link, moment, nothing, number, problem, sign } from "./show.js";
import { rules } from "./tables.js";
import { say } from "./view.js";

const NAME = /^[a-z_][a-z0-9_]*$/;
export const quoted = (layer, name) => `${layer}.${NAME.test(name) ? name : `"${name.replaceAll('"', '""')}"`}`;

export const sql = {
  title: () => "SQL",
  load: () => Promise.resolve({}),
  draw: (_, place, view) => box(view, place.get("q") || "SELECT * FROM silver.customers LIMIT 10", (q) => place.keep({ q })),
};

// `own` of the view keeps the text, the moment and the answer; `atOnce` asks the first question without being told.
export function box(view, first, keep, atOnce) {
  const own = (view.own.sql ??= { text: first, asOf: "" });
  if (atOnce && !own.asked) question(own, view);
  const change = (changes) => Object.assign(own, changes);
  const keys = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event); };
  const send = (event) => { event.preventDefault(); keep?.(own.text); if (!own.over) question(own, view); };
  return h("form.sql", { onsubmit: send },
    h("label", "One SELECT (DuckDB's SQL)", h("textarea.code", { rows: "4", spellcheck: "false", value: own.text, oninput: (event) => change({ text: event.target.value }), onkeydown: keys })),
    h("p.actions", h("button.main", { type: "submit", disabled: Boolean(own.over) }, own.over ? "Asking …" : "Ask"),
      own.over && h("button", { type: "button", disabled: own.stopping, onclick: () => halt(own, view) }, own.stopping ? "Stopping …" : "Stop"),
      h("label", "as of ", h("input", { placeholder: "now, a version, or a time", value: own.asOf, oninput: (event) => change({ asOf: event.target.value }) })), "Ctrl+Enter asks"),
    own.trouble && [problem(own.trouble), atLine(own.trouble.line, own.asked)], own.answer && answer(own),
    command(`flowforge sql "${own.text.replace(/\s+/g, " ").replace(/(["\\$`])/g, "\\$1")}"${own.asOf ? ` --as-of "${own.asOf}"` : ""}`));
}

// The line of a text that is refused, as it was asked; its button takes the reader there.
function atLine(line, text) {
  const lines = text?.split("\n") ?? [];
  if (!line || line > lines.length) return null;
  const go = (event) => {
    const area = event.target.closest("form").querySelector("textarea");
    const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(from, from + lines[line - 1].length);
  };
  return h("p.note", { "data-key": "line" }, `Line ${line}: `, h("code", lines[line - 1].trim()), " ", h("button.quiet", { type: "button", onclick: go }, "Go there"));
}

async function question(own, view) {
  const id = crypto.randomUUID();
  const over = new AbortController();
  Object.assign(own, { id, over, stopping: false, trouble: null, asked: own.text });
  view.redraw();
  const asOf = /^\d+$/.test(own.asOf) ? Number(own.asOf) : own.asOf || null;
  try {
    own.answer = await ask("sql", { body: { sql: own.text, asOf, limit: 200, id }, signal: over.signal });
    say(`${own.answer.rows.length} rows`);
  } catch (error) {
    Object.assign(own, { answer: null, trouble: over.signal.aborted ? over.signal.reason : error });
  }
  own.over = null;
  view.redraw();
}

// The question ends at the server, and its own answer says so; where it cannot be told to end, nothing waits for it here any more.
async function halt(own, view) {
  own.stopping = true;
  view.redraw();
  await ask(path("sql", own.id), { method: "DELETE" }).catch((error) => own.over?.abort(error));
}

function answer({ answer: told }) {
  const count = `${number(told.rows.length)} rows in ${told.seconds} s`;
  return [h("p.quiet", count, told.more && [" ", chip("waiting", "there are more")]), told.rows.length ? rows(told.columns, told.rows, "The answer") : nothing("No row.")];
}

// Rows with a scroll bar of their own, which the keyboard reaches.
export const rows = (columns, lines, label) =>
  h("div.wide.scroll", { tabindex: "0", role: "region", "aria-label": label }, h("table.answer",
    h("thead", h("tr", columns.map((one) => h("th", { scope: "col" }, one)))),
    h("tbody", lines.map((line) => h("tr", line.map((one) => h("td", one === null ? h("span.quiet", "NULL") : typeof one === "object" ? JSON.stringify(one) : String(one))))))));

export const models = {
  title: () => "Models",
  every: () => 30,
  load: (_, signal) => ask("models", { signal }),
  draw: (data, place, view) => [
    data.problems.map((one) => problem({ message: one })),
    data.models.length ? grid({
      caption: "Each after those that it reads",
      key: (one) => one.table,
      rows: data.models,
      columns: [
        { title: "Table", draw: (one) => [link(to("tables", `gold.${one.table}`), one.table), h("small", one.origin)] },
        { title: "State", draw: (one) => [chip(one.state), one.reason && h("small", one.reason)] },
        { title: "Reads", draw: (one) => one.reads.map((name, place) => [place ? ", " : "", link(to("tables", name), name)]) },
        { title: "Built", draw: (one) => [one.strategy, one.key.length > 0 && ` by ${one.key.join(", ")}`, h("small", moment(one.built_at))] },
        { title: "Rows", right: true, draw: (one) => number(one.rows) },
        { title: "Rules", draw: (one) => rules({ rules: one.quality }) },
      ],
    }) : nothing("No gold table yet."),
    data.models.length > 0 && graph(data.models.flatMap((one) => [{ to: `gold.${one.table}` }, ...one.reads.map((name) => ({ from: name, to: `gold.${one.table}` }))]),
      { marks: Object.fromEntries(data.models.map((one) => [`gold.${one.table}`, one.state === "current" ? "" : `${sign(one.state)} `])) }),
    h("details", { "data-key": "write" }, h("summary", "Write a model"), writing(view)),
    command("flowforge models --tree"),
  ],
};

function writing(view) {
  const own = (view.own.model ??= { table: "", sql: "", ahead: false });
  const line = Number(own.trouble?.mistakes?.map((one) => one.problem.match(/\bline (\d+)/)?.[1]).find(Boolean));
  return h("form.sql", { onsubmit: (event) => { event.preventDefault(); put(own, view); } },
    field("Gold table ", own, "table"),
    h("label", "One SELECT (DuckDB's SQL), its settings in comments", h("textarea.code", { rows: "10", required: true, spellcheck: "false", value: own.sql, oninput: (event) => { own.sql = event.target.value; } })),
    check(own.ahead, (on) => { own.ahead = on; }, "it may read tables that are yet to be loaded"),
    h("p.actions", h("button.main", { type: "submit", disabled: own.busy }, "Save"), "checked against the lake, kept, and built at once; a model of that name is replaced"),
    own.trouble && [problem(own.trouble), atLine(line, own.asked)], command("flowforge models put FILE"));
}

const put = (own, view) => view.deed(own, async () => {
  own.asked = own.sql;
  await ask(path("models", own.table), { method: "PUT", body: { sql: own.sql, ahead: own.ahead } });
  say(`The model of gold.${own.table} is saved`);
  await view.again();
});
