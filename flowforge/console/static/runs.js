// The newest runs: which are under way, which failed; and one run: what failed and what to do, and for each table its steps, rows
// and seconds.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { replay } from "./letters.js";
import { to } from "./place.js";
import { age, between, bytes, chip, command, facts, filters, grid, kind, link, moment, money, more, nothing, number, problem, select, span } from "./show.js";
import { say } from "./view.js";

const [SHOWN, PAGES] = [50, 5];
const under = (status) => status === "running" || status === "accepted";

export const runs = {
  title: () => "Runs",
  every: (data) => (!data.status && data.runs.some((run) => under(run.status)) ? 3 : 10),
  // A page of one status may have few: of failed runs, which are seldom, the next ones are asked at once.
  async load(place, signal, show) {
    const [status, workflow] = [place.get("status"), place.get("workflow")];
    const some = (cursor, limit) => ask("runs", { query: { limit, status, workflow_id: workflow, cursor }, signal });
    const data = { status, ...await some(place.get("from"), SHOWN) };
    for (let page = 1; page < PAGES && status === "failed" && data.next && data.runs.length < SHOWN; page += 1) {
      show({ ...data, next: null });
      const { runs: older, next } = await some(data.next, SHOWN - data.runs.length);
      Object.assign(data, { runs: [...data.runs, ...older], next });
    }
    return data;
  },
  draw(data, place, view) {
    const [status, workflow] = [place.get("status"), place.get("workflow")];
    const chosen = data.runs.filter((run) => fits(run, place.get("find").toLowerCase()));
    return [filters(place, view, h("label", "Status ", select(status, [["", "all"], ["under-way", "under way"], "failed", "succeeded"], (chosen) => { location.hash = place.with({ status: chosen, from: "" }); })),
      workflow && h("span", "of ", h("code", workflow), " ", link(place.with({ workflow: "" }), "show all"))),
    chosen.length ? list(chosen) : nothing(data.runs.length ? "None of these runs fits." : status ? `No run is ${status.replace("-", " ")}${data.next ? " among the newest" : ""}.` : workflow ? "This workflow has no run." : ["No run yet: ", link("#/job", "a new job"), " starts one."]),
    place.get("from") && h("p", link(place.with({ from: "" }), "Newest")), more(data, place, status ? "Look further back" : `Older than these ${data.runs.length}`),
    command(`flowforge status${status && ` --status ${status}`}${workflow && ` --workflow ${workflow}`}`)];
  },
};

const fits = (run, words) => !words || [run.run_id, run.workflow_id, run.workflow_name, run.job_id, run.job_name, ...run.tables.map((one) => one.table)].some((one) => one?.toLowerCase().includes(words));

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

function counts(run) {
  const by = new Map();
  for (const { status } of run.tables) by.set(status, (by.get(status) ?? 0) + 1);
  return by.size ? h("span.chips", [...by].map(([status, count]) => chip(status, `${count.toLocaleString("en")} ${status}`))) : "–";
}

function took(run) {
  if (under(run.status)) return age(run.accepted_at);
  return run.finished_at && run.accepted_at ? between(run.accepted_at, run.finished_at) : "–";
}

const QUIET_MILLISECONDS = 5000;
const MOST_CLAIMS = 5;
const WHOLE_MILLISECONDS = 15000; // between looks at all tables: a change that was told late is seen then
let seen = { id: "", since: null, run: null, at: 0 };
let watched = { state: "", asked: 0, told: new Map() };

// Which steps lie behind a table of this status; the next one is under way.
const STEPS = [["ingest", "read"], ["silver", "refine"], ["gold", "publish"]];
const BEHIND = { queued: 0, reading: 0, running: 0, landed: 1, refined: 2, published: 3, empty: 3 };

export const run = {
  title: () => "Run",
  every: (data) => (under(data.status) ? 1 : 10),
  async load(place, signal) {
    const found = await look(place.id, signal);
    const told = under(found.status) ? await claims(found, signal) : new Map();
    return { ...found, claims: told, tables: found.tables.map((one) => ({ ...one, ...told.get(one.table)?.live })) };
  },
  draw(data, place, view) {
    const failed = data.tables.filter((one) => one.error);
    say(`Run ${data.job_name || data.run_id}: ${data.status}`);
    return [head(data), refused(data), failed.length > 0 && failures(data, failed, view), data.discarded.map(discarded),
      data.tables.length > 0 && [tables(data), details(data)], command(`flowforge status ${data.run_id}${under(data.status) ? " --watch" : ""}`)];
  },
};

// A run as it is, by what has changed since the look before; all of it now and then, and once it is over.
async function look(id, signal) {
  const whole = async () => {
    const { as_of: since, ...run } = await ask(path("runs", id), { signal });
    seen = { id, since, run, at: Date.now() };
    return run;
  };
  if (seen.id !== id || !seen.since || Date.now() - seen.at >= WHOLE_MILLISECONDS) return whole();
  const { as_of: since, ...told } = await ask(path("runs", id), { query: { since: seen.since }, signal });
  const changed = new Map(told.tables.map((one) => [one.table.toLowerCase(), one]));
  const run = { ...told, tables: seen.run.tables.map((one) => changed.get(one.table.toLowerCase()) ?? one) };
  if (!under(run.status) || run.tables.every((one) => BEHIND[one.status] === 3 || one.error)) return whole();
  seen = { ...seen, since, run };
  return run;
}

// Of a run that does not move: how far those are that read, whose worker has fallen silent, and when the next one may go on. Asked
// seldom, of a few tables.
async function claims(found, signal) {
  const state = JSON.stringify(found);
  if (state !== watched.state) watched = { state, asked: Date.now(), told: new Map() };
  if (Date.now() - watched.asked < QUIET_MILLISECONDS) return watched.told;
  watched.asked = Date.now();
  const waiting = found.tables.filter((one) => one.status === "queued" || one.status === "running").slice(0, MOST_CLAIMS);
  const answers = await Promise.all(waiting.map((one) => ask(path("watermarks", one.table), { signal }).catch(() => ({}))));
  watched.told = new Map(waiting.map((one, place) => [one.table, claim(answers[place].active_batch ?? {}, found.run_id)]));
  return watched.told;
}

// {live: what is known of a table that is being read} or {note}.
function claim(active, id) {
  if (active.state !== "claimed" || typeof active.silent_seconds !== "number") return {};
  if (active.silent_seconds <= active.heartbeat_seconds * 2)
    return active.run_id === id ? { live: { status: "reading", records: active.rows_so_far, since: active.claimed_at * 1000 } } : { note: "A batch of another run is under way; this one comes after it." };
  const left = Math.ceil(active.free_in_seconds ?? 0);
  return { note: `Its worker fell silent ${Math.round(active.silent_seconds)} s ago; ${left > 0 ? `the next attempt is free in ${left} s` : "the next attempt may begin"}.` };
}

function head(data) {
  return facts([
    ["Status", chip(data.status)],
    ["Job", data.job_name || data.job_id],
    ["Workflow", data.workflow_id && link(to("runs", "", { workflow: data.workflow_id }), data.workflow_name || data.workflow_id)],
    ["Requested", moment(data.accepted_at)],
    [under(data.status) ? "Under way for" : "Took", took(data)],
    ["Started by", data.trigger === "http" ? "the API" : data.trigger],
    ["Cost", cost(data.tables, data.prices)],
    ["Batch", data.batch_id && h("code", data.batch_id)],
    ["Run", h("code", data.run_id)],
  ]);
}

// By list prices, of what has told its use.
function cost(tables, prices) {
  const known = tables.filter((one) => one.price != null);
  return known.length > 0 && money(known.reduce((sum, one) => sum + one.price, 0), prices);
}

function refused(data) {
  return data.mistakes?.length > 0 && problem({ message: "The request was refused; no table was queued.", mistakes: data.mistakes });
}

function failures(data, failed, view) {
  return h("section", { "aria-labelledby": "failed" }, h("h2", { id: "failed" }, failed.length > 1 ? `${failed.length} tables failed` : "What failed"),
    failed.map((one) => h("div.problem", { "data-key": one.table },
      h("strong", one.table), ` in the step ${one.error.step}: ${one.error.error}`,
      one.error.attempts > 1 && `, after ${one.error.attempts} attempts`,
      h("p.cause", one.error.cause),
      one.error.remedy && h("p.remedy", h("b", "What to do: "), one.error.remedy))),
    h("p.actions", h("button", { onclick: () => replay({ run_id: data.run_id }, view) }, "Replay …"),
      " shows first what it will do; nothing is loaded twice"));
}

const discarded = (one) =>
  h("p.note", `${one.table ?? "The run"}: its ${one.queue} message was discarded: ${one.discarded_because}; ${one.consequence}`);

function tables(data) {
  const most = Math.max(0.001, ...data.tables.map((one) => total(one) ?? 0));
  return h("section", h("h2", "Tables"), grid({
    key: (one) => one.table,
    rows: data.tables,
    columns: [
      { title: "Table", draw: (one) => [one.silver_table ? link(to("tables", `silver.${one.silver_table}`), one.table) : one.table, one.source_table && h("small", `from ${one.source_table}`)] },
      { title: "Status", draw: (one) => [chip(one.status), parts(one), data.claims.get(one.table)?.note && h("small.note", data.claims.get(one.table).note)] },
      { title: "Steps", draw: (one) => steps(one, most) },
      { title: "Rows read", right: true, draw: (one) => number(one.records ?? one.slices?.records) },
      { title: "Silver rows", right: true, draw: (one) => [number(one.silver_rows), changes(one)] },
      { title: "Watermark", draw: watermark },
      { title: "Seconds", right: true, draw: (one) => total(one)?.toFixed(2) ?? (one.since ? age(one.since) : "–") },
    ],
  }));
}

function total(one) {
  const known = Object.values(one.seconds ?? {}).filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

const parts = (one) => one.status === "reading" && one.slices && h("small", `${one.slices.done} of ${one.slices.slices} slices`);

// Each step's state, seconds, and a bar of its share of the longest table.
function steps(one, most) {
  const behind = one.status === "failed" ? STEPS.findIndex(([name]) => name === one.error?.step) : BEHIND[one.status] ?? 0;
  return h("ol.steps", STEPS.map(([name, word], place) => {
    const seconds = one.seconds?.[name];
    const state = one.status === "failed" && place === behind ? "bad" : place < behind ? "good" : place === behind ? "busy" : "wait";
    const told = { good: "done", bad: "failed", busy: one.status === "queued" ? "queued" : "under way", wait: "not begun" }[state];
    const bar = h("span.bar", { "aria-hidden": "true" });
    bar.style.width = `${((seconds ?? 0) / most) * 100}%`;
    return h(`li.${state}`, h("span", `${word} `), h("span.quiet", seconds == null ? told : span(seconds)), bar);
  }));
}

function changes(one) {
  const told = [["+", one.inserted], ["~", one.updated], ["−", one.deleted]].filter(([, count]) => count);
  return told.length > 0 && h("small", told.map(([sign, count]) => `${sign}${number(count)}`).join(" "));
}

function watermark(one) {
  if (one.watermark_after == null) return "–";
  return [h("code", one.watermark_after), h("small", one.watermark_committed ? `of ${one.cursor_column ?? ""}` : "not committed yet")];
}

function details(data) {
  return h("section", h("h2", "Details"), data.tables.map((one) => h("details", { "data-key": one.table, ontoggle: null },
    h("summary", one.table, " ", kind(one.status) === "bad" && chip(one.status), one.quarantined > 0 && ` ${number(one.quarantined)} rows in quarantine`),
    facts([
      ["Bronze", one.bronze_key && [h("code", one.bronze_key), ` ${bytes(one.file_size_bytes)}`]],
      ["Gold", one.gold_tables && h("span", Object.entries(one.gold_tables).map(([name, rows], place) => [place ? ", " : "", link(to("tables", `gold.${name}`), name), rows === null ? "" : ` ${number(rows)} rows`]))],
      ["Watermark before", one.watermark_before && h("code", one.watermark_before)],
      ["Rows at the source", one.source_rows !== null && number(one.source_rows)],
      ["Counted", one.counted],
      ["Promise", one.promise],
      ["Read as", one.consistency],
      ["Reason", one.reason],
      ["Cost", cost([one], data.prices)],
      ["Quarantine", one.quarantined > 0 && `${number(one.quarantined)} rows`],
    ]),
    notes(one))));
}

function notes(one) {
  const broken = [...(one.quality ?? []), ...Object.values(one.gold_quality ?? {}).flat()].filter((figure) => figure.failed)
    .map((figure) => `${figure.rule}: ${number(figure.failed)} of ${number(figure.checked)} failed (${figure.severity})`);
  const told = [...(one.notes ?? []), ...(one.schema_changes ?? []), ...(one.deferred ?? []).map((other) => (typeof other === "string" ? other : JSON.stringify(other))), ...broken];
  return told.length > 0 && h("ul.notes", told.map((text) => h("li", text)));
}
