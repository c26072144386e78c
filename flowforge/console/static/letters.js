// Messages that steps have given up: why, and back into their queues once the cause is gone. Replay and discard show first what they
// would do, then, if it is wanted, do it.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { command, grid, itsRun, moment, more, nothing, number, problem, span } from "./show.js";
import { choose, say } from "./view.js";

export const letters = {
  title: () => "Dead letters",
  every: () => 30,
  async load(place, signal) {
    const [dead, given] = await Promise.all([ask("dead-letters", { query: { cursor: place.get("from") }, signal }), ask("dead-letters/discarded", { query: { limit: 50 }, signal })]);
    return { ...dead, discarded: given.discarded };
  },
  draw: (data, place, view) => [
    data.failed.map((one) => problem({ message: `${one.queue}: ${one.problem}` })),
    data.messages.length ? [list(data, view), h("p.actions", h("button", { onclick: () => replay({ all: true }, view) }, "Replay all …"), h("button.quiet", { onclick: () => discard({ all: true }, view) }, "Discard all …"))]
      : nothing("Nothing has been given up."),
    more(data, place), command("flowforge replay"),
    data.discarded.length > 0 && h("section", h("h2", "Discarded"), grid({
      key: (one) => one.id,
      rows: data.discarded,
      columns: [
        { title: "When", draw: (one) => moment(one.at) },
        { title: "Step", draw: (one) => one.queue },
        { title: "Table", draw: (one) => one.table ?? "–" },
        { title: "Discarded because", draw: (one) => [one.discarded_because, h("small", one.consequence)] },
      ],
    })),
  ],
};

const list = (data, view) => grid({
  caption: data.more ? `The oldest ${number(data.messages.length)}; others follow` : "Oldest first",
  key: (one) => one.id,
  rows: data.messages,
  columns: [
    { title: "Table", draw: (one) => [one.table ?? "–", itsRun(one)] },
    { title: "Step", draw: (one) => one.queue },
    { title: "Failed because", draw: (one) => one.reason ?? one.problem ?? "–" },
    { title: "Age", right: true, draw: (one) => span(one.age_seconds) },
    { title: "Then", draw: (one) => one.id && h("span.chips", h("button", { onclick: () => replay({ ids: [one.id] }, view), "aria-label": `Replay ${one.table ?? one.id}` }, "Replay …"), h("button.quiet", { onclick: () => discard({ ids: [one.id] }, view), "aria-label": `Discard ${one.table ?? one.id}` }, "Discard …")) },
  ],
});

const MOST_CALLS = 100;
const selected = (selection) => (selection.all ? "--all" : selection.run_id ? `--run ${selection.run_id}`
  : selection.table ? `--table ${selection.table}` : (selection.ids ?? []).map((id) => `--id ${id}`).join(" "));

// Puts messages back into their queues: {all: true}, {run_id}, {table} or {ids}.
export async function replay(selection, view) {
  await settle("replay", selection, view, {
    title: "Replay",
    does: "Each message goes back to its queue, and its step begins again where it stopped. A batch that has landed is not read again; no row arrives twice.",
    action: (count) => `Put ${number(count)} back`,
    done: "put back",
    command: `flowforge replay ${selected(selection)}`,
  });
}

async function discard(selection, view) {
  await settle("discard", selection, view, {
    title: "Discard",
    does: "These messages are given up for good. What follows for each table is told here and kept with the run.",
    action: (count) => `Discard ${number(count)}`,
    done: "discarded",
    command: `flowforge replay --discard ${selected(selection)} --reason "…"`,
    reason: true,
  });
}

async function settle(action, selection, view, words) {
  const body = { ...selection, ...(words.reason ? { reason: "preview" } : {}) };
  const load = () => ask(`dead-letters/${action}`, { body: { ...body, preview: true } });
  await choose({
    title: words.title,
    load,
    draw: (found) => (found.messages.length ? [h("p", words.does), shown(found), command(words.command)]
      : h("p", "No message of this lies in a dead-letter queue: it may have been put back, or its queue still tries.")),
    reason: words.reason,
    action: (found) => found.messages.length && words.action(found.messages.length),
    run: async (found, reason) => {
      const told = await toTheEnd(action, { ...selection, ...(reason ? { reason } : {}), until: found.until });
      say(`${number(told.count)} ${words.done}${told.more ? "; others are left" : ""}`);
      await view.again();
      return told.failed.length > 0 && problem({ message: `${number(told.failed.length)} could not be ${words.done}: ${told.failed[0].problem ?? ""}` });
    },
  });
}

// One call does what it can in its time; what came since the first look is none of it.
async function toTheEnd(action, body) {
  let count = 0;
  for (let calls = 0; ; calls += 1) {
    const told = await ask(`dead-letters/${action}`, { body });
    count += told.messages.length;
    if (!told.more || calls === MOST_CALLS) return { ...told, count };
  }
}

const shown = (found) => grid({
  caption: found.more ? `The oldest ${number(found.messages.length)}; others follow` : `${number(found.messages.length)} in all`,
  key: (one) => one.id,
  rows: found.messages,
  columns: [
    { title: "Step", draw: (one) => one.queue },
    { title: "Table", draw: (one) => one.table ?? "–" },
    { title: "Failed because", draw: (one) => [one.reason ?? one.problem ?? "–", one.consequence && h("small", one.consequence)] },
    { title: "Age", right: true, draw: (one) => span(one.age_seconds) },
  ],
});
