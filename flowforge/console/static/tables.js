// The lake's tables: how fresh, how many rows, what their rules found.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, chip, command, grid, link, moment, nothing, number } from "./show.js";

const LAYERS = ["", "silver", "gold", "quarantine"];

export const tables = {
  title: () => "Tables",
  every: () => 20,
  load: (place, signal) =>
    ask("tables", { query: { limit: 200, layer: place.get("layer"), cursor: place.get("from") }, signal }),
  draw(data, place, view) {
    const set = (changes) => { place.keep(changes); view.redraw(); };
    const words = place.get("find").toLowerCase();
    const chosen = data.tables.filter((one) => `${one.layer}.${one.table}`.toLowerCase().includes(words) && (!place.get("only") || wrong(one)));
    return [filters(place, set), chosen.length ? list(chosen, place, set)
      : nothing(data.tables.length ? "None of these tables fits." : ["The lake has no table yet: ", link("#/job", "a new job"), " loads some."]),
      data.next && h("p.pages", link(place.with({ from: data.next }), `The tables behind these ${data.tables.length}`)),
      command("flowforge watermark list")];
  },
};

const broken = (one) => (one.rules ?? []).filter((figure) => figure.failed);
const wrong = (one) => one.problem || broken(one).length > 0 || one.layer === "quarantine";

function filters(place, set) {
  return h("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() },
    h("label", "Find ", h("input", { type: "search", value: place.get("find"), oninput: (event) => set({ find: event.target.value }) })),
    h("span", LAYERS.map((one) => [link(place.with({ layer: one, from: "" }), h(place.get("layer") === one ? "strong" : "span", one || "all layers")), " "])),
    h("label", h("input", { type: "checkbox", checked: Boolean(place.get("only")), onchange: (event) => set({ only: event.target.checked ? "wrong" : "" }) }), " only what wants a look"));
}

function list(chosen, place, set) {
  return grid({
    key: (one) => `${one.layer}.${one.table}`,
    rows: chosen,
    sort: { by: place.get("sort"), go: (sort) => set({ sort }) },
    columns: [
      { title: "Table", by: (one) => `${one.layer}.${one.table}`, draw: (one) => [link(to("tables", `${one.layer}.${one.table}`), h("span.quiet", `${one.layer}.`), one.table), one.problem && h("small.note", one.problem)] },
      { title: "Written", by: (one) => one.written_at, draw: (one) => moment(one.written_at) },
      { title: "Rows", right: true, by: (one) => one.rows, draw: (one) => number(one.rows) },
      { title: "Size", right: true, by: (one) => one.bytes, draw: (one) => bytes(one.bytes) },
      { title: "Rules", draw: rules },
      { title: "Watermark", draw: (one) => Object.entries(one.watermarks ?? {}).map(([column, value]) => [h("code", value), h("small", `of ${column}`)]) },
      { title: "Version", right: true, by: (one) => one.version, draw: (one) => number(one.version) },
    ],
  });
}

export function rules(one) {
  if (one.layer === "quarantine") return chip("waiting", "rows kept apart");
  if (!one.rules?.length) return "–";
  const bad = broken(one);
  return bad.length ? chip("failed", `${bad.length} of ${one.rules.length} broken`) : chip("current", `${one.rules.length} hold`);
}
