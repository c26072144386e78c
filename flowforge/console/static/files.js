// What became of files, and which wait below landing/; and a form that puts one there.
import { ask } from "./api.js";
import { upload } from "./upload.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, chip, command, grid, link, moment, nothing, number } from "./show.js";

export const files = {
  title: () => "Files",
  every: () => 15,
  load: (place, signal) => ask("files", { query: { limit: 100, state: place.get("state"), table: place.get("table"), cursor: place.get("from") }, signal }),
  draw(data, place, view) {
    const waiting = place.get("state") === "waiting";
    const tab = (state, title) => link(place.with({ state, from: "" }), h(place.get("state") === state ? "strong" : "span", title));
    return [h("p.filters", tab("", "Reports"), tab("waiting", "Waiting")), (data.notes ?? []).map((note) => h("p.note", note)),
      data.files.length ? (waiting ? lying : reports)(data.files) : nothing(waiting ? "No file waits." : "No file has been taken yet: one that is put below landing/ is loaded by its job."),
      data.next && h("p.pages", link(place.with({ from: data.next }), "More")), upload(view), command(`flowforge files list${waiting ? " --waiting" : ""}`)];
  },
};

const named = (file) => link(to("files", keyOf(file)), h("code", file));

// A file's key in the lake's bucket; reports have it with the bucket's name.
export const keyOf = (file) => file.replace(/^s3:\/\/[^/]+\//, "");

export const reports = (all) => grid({
  key: (one) => `${one.file} ${one.at}`,
  rows: all,
  columns: [
    { title: "File", draw: (one) => [named(one.file), one.run_id && h("small", link(to("runs", one.run_id), "its run"))] },
    { title: "State", draw: (one) => [chip(one.state), one.reason && h("small", one.reason)] },
    { title: "Table", draw: (one) => one.table ?? "–" },
    { title: "Rows", right: true, draw: (one) => number(one.rows) },
    { title: "Did not fit", right: true, draw: (one) => (one.rejected ? h("strong", number(one.rejected)) : number(one.rejected)) },
    { title: "When", draw: (one) => moment(one.at) },
  ],
});

const lying = (all) => grid({
  key: (one) => one.file,
  rows: all,
  columns: [
    { title: "File", draw: (one) => named(one.file) },
    { title: "Waits because", draw: (one) => one.reason },
    { title: "Job", draw: (one) => one.job ?? "none takes it" },
    { title: "Size", right: true, draw: (one) => bytes(one.size) },
    { title: "Since", draw: (one) => moment(one.since) },
  ],
});
