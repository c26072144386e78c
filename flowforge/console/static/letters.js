// Messages that steps have given up: why, and back into their queues once the cause is gone.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { discard, replay } from "./settling.js";
import { command, grid, link, moment, nothing, number, problem, span } from "./show.js";

export const letters = {
  title: () => "Dead letters",
  every: () => 30,
  async load(place, signal) {
    const [dead, given] = await Promise.all([ask("dead-letters", { signal }), ask("dead-letters/discarded", { query: { limit: 50 }, signal })]);
    return { ...dead, discarded: given.discarded };
  },
  draw: (data, place, view) => [
    data.failed.map((one) => problem({ message: `${one.queue}: ${one.problem}` })),
    data.messages.length ? [list(data, view), h("p.actions", h("button", { onclick: () => replay({ all: true }, view) }, "Replay all …"), h("button.quiet", { onclick: () => discard({ all: true }, view) }, "Discard all …"))]
      : nothing("Nothing has been given up."),
    command("flowforge replay"),
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
    { title: "Table", draw: (one) => [one.table ?? "–", one.run_id && h("small", link(to("runs", one.run_id), "its run"))] },
    { title: "Step", draw: (one) => one.queue },
    { title: "Failed because", draw: (one) => one.reason ?? one.problem ?? "–" },
    { title: "Age", right: true, draw: (one) => (one.age_seconds === null || one.age_seconds === undefined ? "–" : span(one.age_seconds)) },
    { title: "Then", draw: (one) => one.id && h("span.chips", h("button", { onclick: () => replay({ ids: [one.id] }, view), "aria-label": `Replay ${one.table ?? one.id}` }, "Replay …"), h("button.quiet", { onclick: () => discard({ ids: [one.id] }, view), "aria-label": `Discard ${one.table ?? one.id}` }, "Discard …")) },
  ],
});
