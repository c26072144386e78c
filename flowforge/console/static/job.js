// A new job: a connection, its tables, how each is loaded, and the request that says so, beside it all the while.
import { all, ask, path } from "./api.js";
import { attempt, form, outcome } from "./connections.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { rules } from "./rules.js";
import { from, keep, saved, schedule } from "./schedules.js";
import { bytes, chip, command, facts, field, find, grid, link, moment, money, number, problem, select, span, text } from "./show.js";
import { rows } from "./sql.js";

const WHOLE = ""; // the choices beside columns
const CHANGES = ":changes";
const [SHOWN, MOST_RUNS] = [100, 20];
const WITHOUT = "Each load reads the whole table; rows that are gone at the source are taken out.";

export const job = {
  title: () => "New job",
  async load(place, signal) {
    const name = place.get("template");
    const [{ connections }, template] = await Promise.all([ask("connections", { signal }), name && ask(path("templates", name), { signal })]);
    return { connections, template };
  },
  draw(data, place, view) {
    const state = stateOf(place, view);
    state.template = data.template?.request;
    const own = state.template ? h("p", "The tables, models and rules of the template ", link(to("templates", data.template.name), data.template.title), ". ", link(to("job"), "Choose tables instead"))
      : [state.connection && choice(state, view), picked(state, view)];
    return h("div.two.job", h("div", source(data, state, view), own, names(state)), request(written(state), state.connection && (state.template || Object.keys(state.tables).length > 0), view));
  },
};

// What the address holds: {connection, tables: {name: {cursor, silver, gold, rules}}, workflow, job}; what was asked is of the view.
function stateOf(place, view) {
  let tables = {};
  try {
    tables = JSON.parse(place.get("tables") || "{}");
  } catch { /* an address that somebody has cut */ }
  const set = (changes) => {
    const kept = "tables" in changes ? { ...changes, tables: Object.keys(changes.tables).length ? JSON.stringify(changes.tables) : "" } : changes;
    place.keep(kept);
    view.redraw();
  };
  const own = Object.assign(view.own, { described: view.own.described ?? {}, find: view.own.find ?? "" });
  return { connection: place.get("connection"), workflow: place.get("workflow"), job: place.get("job"), tables, set, own };
}

function source(data, state, view) {
  const pick = (id) => {
    Object.assign(state.own, { listed: null, described: {}, of: null });
    state.set({ connection: id, tables: {} });
  };
  return h("section", h("h2", "1 Connection"),
    data.connections.length > 0 && h("p.actions", h("label", "Saved ", saved(data.connections, state.connection, pick)),
      state.connection && h("button", { disabled: state.own.busy, onclick: () => attempt(view, { connectionId: state.connection }) }, "Test"), state.own.busy && "asking …"),
    state.own.of && outcome(view),
    h("details", { open: data.connections.length === 0 }, h("summary", "A new connection"), form(view, async (id) => { await view.again(); pick(id); })));
}

function choice(state, view) {
  const { own } = state;
  if (!own.listed) {
    own.listed = { tables: [] };
    fetched(own.listed, all("database/tables", "tables", { connectionId: state.connection }), view);
  }
  const { trouble, waiting, tables } = own.listed;
  const fitting = tables.filter((one) => `${one.schema}.${one.name}`.toLowerCase().includes(own.find.toLowerCase()));
  const toggle = (name, on) => {
    const chosen = { ...state.tables };
    on ? (chosen[name] = {}) : delete chosen[name];
    state.set({ tables: chosen });
  };
  return h("section", h("h2", "2 Tables"), trouble && problem(trouble), waiting && h("p.quiet", "Asking the server …"),
    tables.length > 0 && [h("p.actions", find(own.find, (words) => { own.find = words; view.redraw(); }),
      `${number(fitting.length)} of ${number(tables.length)}`),
    h("ul.pick", fitting.slice(0, SHOWN).map((one) => {
      const name = `${one.schema}.${one.name}`;
      return h("li", { "data-key": name }, h("label", h("input", { type: "checkbox", checked: name in state.tables, onchange: (event) => toggle(name, event.target.checked) }), ` ${name}`),
        h("span.quiet", one.type === "table" ? `about ${number(one.row_estimate)} rows` : one.type));
    })), fitting.length > SHOWN && h("p.quiet", `The first ${SHOWN}; find narrows them.`)]);
}

async function fetched(place, asking, view) {
  place.waiting = true;
  try {
    Object.assign(place, await asking);
  } catch (error) {
    place.trouble = error;
  }
  place.waiting = false;
  view.redraw();
}

function picked(state, view) {
  const names = Object.keys(state.tables);
  return names.length > 0 && h("section", h("h2", "3 How each is loaded"), names.map((name) => one(name, state, view)));
}

function one(name, state, view) {
  const known = (state.own.described[name] ??= {});
  if (state.connection && !known.columns && !known.waiting && !known.trouble) {
    fetched(known, ask("database/schema", { query: { connectionId: state.connection, table: name, preview: 5 } }), view);
  }
  const wanted = state.tables[name];
  const { cursor = WHOLE, rules: chosen = [] } = wanted;
  const set = (changes) => state.set({ tables: { ...state.tables, [name]: { ...wanted, ...changes } } });
  const into = (layer) => field(`Into ${layer}.`, { ...wanted }, layer, { required: false, placeholder: name.replace(/^dbo\./, ""), oninput: (event) => set({ [layer]: event.target.value }) });
  return h("div.card", { "data-key": name }, h("strong", name), known.waiting && h("span.quiet", " asking …"), known.trouble && problem(known.trouble),
    known.columns && [by(name, known, cursor, (column) => set({ cursor: column })), h("div.fields", into("silver"), into("gold")),
      h("details", { "data-key": "rules" }, h("summary", "Rules", chosen.length > 0 && ` (${chosen.length})`), rules(known.columns, chosen, (others) => set({ rules: others }), known, view)),
      h("details", { "data-key": "columns" }, h("summary", `${known.columns.length} columns, first rows`), grid({
        key: (column) => column.name,
        rows: known.columns,
        columns: [
          { title: "Column", draw: (column) => [h("code", column.name), (column.primary_key || column.identity) && h("small", [column.primary_key && "key", column.identity && "identity"].filter(Boolean).join(", "))] },
          { title: "SQL Server", draw: (column) => `${column.sql_type}${column.nullable ? "" : " not null"}` },
          { title: "Lake", draw: (column) => column.arrow_type },
        ],
      }), known.preview?.rows.length > 0 && rows(known.preview.columns, known.preview.rows, `First rows of ${name}`))]);
}

// How new rows are found, of what is possible here, and what that promises.
function by(name, known, cursor, set) {
  const found = known.cursor_candidates.find((candidate) => candidate.column === cursor);
  const { promise, problem: without, statements = [] } = known.change_tracking ?? {};
  const columns = known.cursor_candidates.map((one) => [one.column, `${one.column} (${one.sql_type}${one.indexed ? ", indexed" : ""})`]);
  return [h("label.block", "New rows are found by ", select(cursor, [[WHOLE, "nothing: the whole table each time"], ...columns, ...(promise ? [[CHANGES, "Change Tracking: deletes, too"]] : [])], set)),
    h("p.quiet", cursor === CHANGES ? promise : found ? found.promise : WITHOUT),
    found && !found.indexed && h("p.note", `${found.column} leads no index: every load reads the whole table.`),
    !known.primary_key.length && h("p.note", "No primary key: rows are added, and none is replaced."),
    !promise && (statements.length > 0 || without) && h("details", { "data-key": "tracking" }, h("summary", "Change Tracking is not ready"), without ?? text(statements.map((one) => `${one};\n`), `What makes ${name} ready`))];
}

function names(state) {
  const named = (name, title, placeholder) => field(title, { [name]: state[name] }, name, { placeholder, oninput: (event) => state.set({ [name]: event.target.value }) });
  return h("section", h("h2", "4 Its name"), h("div.fields", named("workflow", "Workflow", "bank"), named("job", "Job", "load_bank")));
}

export function written(state) {
  const named = { workflow_id: state.workflow || "bank", job_id: state.job || "load_bank" };
  if (state.template) return { ...from(state.template, state.connection), ...(state.workflow && { workflow_id: state.workflow }), ...(state.job && { job_id: state.job }) };
  const entries = Object.entries(state.tables).map(([tableName, { cursor = WHOLE, silver, gold, rules: qualityRules }]) => {
    const into = {
      ...(cursor === WHOLE && { bronzeConfig: { loadStrategy: "full_refresh" } }),
      ...((silver || qualityRules?.length) && { silverConfig: { ...(silver && { tableName: silver }), ...(qualityRules?.length && { qualityRules }) } }),
      ...(gold && { goldConfig: { tableName: gold } }),
    };
    const how = cursor === CHANGES ? { isIncremental: true, changeTracking: true } : cursor !== WHOLE && { isIncremental: true, deltaColumn: cursor };
    return { tableName, ...how, ...(Object.keys(into).length && { destination_config: into }) };
  });
  return {
    ...named,
    source_type: "database",
    source_config: { type: "sql-server", connection: { connectionId: state.connection }, databaseConfig: { tables: entries } },
  };
}

// A request as proposed, changed by hand if wanted; submitted, scheduled, or kept as a template once it is `ready`.
export function request(proposed, ready, view) {
  const { own } = view;
  const text = own.edited ?? JSON.stringify(proposed, null, 2);
  const edit = (value) => { own.edited = value; view.redraw(); };
  const unready = !ready && (own.edited ?? null) === null;
  return h("section.beside", h("h2", "The request"),
    h("label", h("span.quiet", own.edited ? "changed by hand" : "as chosen; may be changed by hand"), h("textarea.code", { rows: "26", spellcheck: "false", value: text, oninput: (event) => edit(event.target.value) })),
    own.refused && problem(own.refused), own.plan?.text === text && planned(own.plan.tables),
    h("p.actions", h("button", { disabled: unready || own.sending, onclick: () => busy(text, own, view, async (body) => { own.plan = { text, tables: await plan(body) }; }) }, "Plan"),
      h("button.main", { disabled: unready || own.sending, onclick: () => busy(text, own, view, submit) }, "Submit"),
      h("button", { disabled: unready, onclick: () => whole(text, own, view, (document) => schedule(() => Promise.resolve({ request: document }), (kept) => { location.hash = to("schedules", kept.workflow_id); })) }, "Schedule …"),
      h("button", { disabled: unready, onclick: () => whole(text, own, view, keep) }, "Save as template …"),
      h("button", { onclick: () => navigator.clipboard.writeText(text) }, "Copy"), own.edited && h("button.quiet", { onclick: () => edit(null) }, "As chosen again")),
    command("flowforge submit request.json --watch"));
}

// Does something with the request, where its text is one.
async function whole(text, own, view, deed) {
  own.refused = null;
  try {
    const document = JSON.parse(text);
    if (document === null || typeof document !== "object" || Array.isArray(document)) throw new SyntaxError("expected an object");
    await deed(document);
  } catch (error) {
    own.refused = error instanceof SyntaxError ? { message: `The request is no JSON: ${error.message}` } : error;
  }
  view.redraw();
}

async function busy(text, own, view, deed) {
  own.sending = true;
  view.redraw();
  await whole(text, own, view, deed);
  own.sending = false;
  view.redraw();
}

async function submit(document) {
  const accepted = await ask(`workflows/${path(String(document.workflow_id))}/run`, { body: document });
  location.hash = to("runs", accepted.run_id);
}

// What the request would load now, table by table, before it is submitted.
async function plan(body) {
  const tables = [];
  for (let first = 0; first !== null;) {
    const told = await ask("plan", { body, query: { first } });
    tables.push(...told.tables);
    first = told.next;
  }
  const ids = [...new Set(tables.map((one) => one.last?.run_id).filter(Boolean))].slice(0, MOST_RUNS);
  const known = new Map(await Promise.all(ids.map(async (id) => [id, await ask(path("runs", id)).catch(() => null)])));
  for (const { last, bronze_table: name } of tables) {
    const run = known.get(last?.run_id);
    const price = run?.tables.find((one) => one.table === name)?.price;
    if (price != null) Object.assign(last, { price, prices: run.prices });
  }
  return tables;
}

// What the loads before took and cost: {records, seconds, price, prices}.
const history = ({ records, seconds, price, prices }) => `${number(records)} rows in ${span(seconds)}${price == null ? "" : `, ${money(price, prices)}`}`;

function inAll(tables) {
  const loads = tables.map((one) => one.last).filter(Boolean);
  const sum = (name) => loads.reduce((all, one) => all + (one[name] ?? 0), 0);
  const priced = loads.find((one) => one.prices);
  return loads.length > 1 && ` The last loads of these ${loads.length}: ${history({ records: sum("records"), seconds: sum("seconds"), price: priced && sum("price"), prices: priced?.prices })}.`;
}

const planned = (tables) => h("div", { role: "region", "aria-label": "The plan", "data-key": "plan" }, h("p.quiet", "As things are now; nothing is written.", inAll(tables)), tables.map((one) =>
  h("div.card", { "data-key": one.bronze_table }, chip(one.outcome), " ", h("strong", one.source_table), ` ${one.mode}`, one.reason && h("p", one.reason), facts([
    ["From", one.low],
    ["Up to", one.high],
    ["Rows", one.rows !== undefined && (one.counted ? number(one.rows) : `about ${number(one.rows)}`)],
    ["Bytes", one.bytes !== undefined && bytes(one.bytes)],
    ["Slices", one.slices > 1 && one.slices],
    ["Last load", one.last && history(one.last)],
    ["Where", one.where?.join(" and ")],
    ["Protected", Object.entries(one.protected ?? {}).map((pair) => pair.join(": ")).join(", ")],
    ["Files", Object.entries(one.file_counts ?? {}).map(([state, count]) => `${number(count)} ${state}`).join(", ")],
  ]), h("ul", one.files?.filter((file) => file.state !== "loaded").slice(0, 20).map((file) => h("li", `${file.state}: `, h("code", file.key), ` ${bytes(file.size)}, `, moment(file.modified)))),
  one.warnings.map((warning) => h("p.note", warning)), one.refused && problem(one.refused))), command("flowforge plan request.json"));
