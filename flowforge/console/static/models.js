// The gold tables: what makes each, what it reads, whether it is current; and a form for a model.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { check, chip, command, field, grid, link, moment, nothing, number, problem } from "./show.js";
import { atLine } from "./sql.js";
import { rules } from "./tables.js";
import { say } from "./view.js";

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
