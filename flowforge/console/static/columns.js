// The columns of a table of the lake, from the source's types to what is made of each, and what a person decides about them.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { command, field, grid, link, ofLake, select } from "./show.js";
import { choose, say } from "./view.js";

// Each column from the source's type to this layer's, with what a person has decided, what it is made from and what it makes.
export function columns({ own, history, lineage, name: silver }, schema, view) {
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
