// The gold tables: what makes each, what it reads, whether it is current.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { chip, command, grid, link, moment, nothing, number, problem } from "./show.js";
import { rules } from "./tables.js";

export const models = {
  title: () => "Models",
  every: () => 30,
  load: (_, signal) => ask("models", { signal }),
  draw: (data) => [
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
    command("flowforge models --tree"),
  ],
};
