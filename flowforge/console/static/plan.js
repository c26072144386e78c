// What the request would load now, table by table, before it is submitted.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { bytes, chip, command, facts, moment, number, problem, span } from "./show.js";

export async function plan(body) {
  const tables = [];
  for (let first = 0; first !== null;) {
    const told = await ask("plan", { body, query: { first } });
    tables.push(...told.tables);
    first = told.next;
  }
  return tables;
}

export const planned = (tables) => h("div", { role: "region", "aria-label": "The plan", "data-key": "plan" }, h("p.quiet", "As things are now; nothing is written."), tables.map((one) =>
  h("div.card", { "data-key": one.bronze_table }, chip(one.outcome), " ", h("strong", one.source_table), ` ${one.mode}`, one.reason && h("p", one.reason), facts([
    ["From", one.low],
    ["Up to", one.high],
    ["Rows", one.rows !== undefined && (one.counted ? number(one.rows) : `about ${number(one.rows)}`)],
    ["Bytes", one.bytes !== undefined && bytes(one.bytes)],
    ["Slices", one.slices > 1 && one.slices],
    ["Last load", one.last && `${number(one.last.records)} rows in ${span(one.last.seconds)}`],
    ["Where", one.where?.join(" and ")],
    ["Protected", Object.entries(one.protected ?? {}).map((pair) => pair.join(": ")).join(", ")],
    ["Files", Object.entries(one.file_counts ?? {}).map(([state, count]) => `${number(count)} ${state}`).join(", ")],
  ]), h("ul", one.files?.filter((file) => file.state !== "loaded").slice(0, 20).map((file) => h("li", `${file.state}: `, h("code", file.key), ` ${bytes(file.size)}, `, moment(file.modified)))),
  one.warnings.map((warning) => h("p.note", warning)), one.refused && problem(one.refused))), command("flowforge plan request.json"));
