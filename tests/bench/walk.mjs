// The reference: no JavaScript tool can audit a tree in less. It reads and parses every record, probes every active pid,
// counts, and decides nothing.
import fs from "node:fs";
import path from "node:path";

const state = process.argv[2];
let files = 0, active = 0, dead = 0, torn = 0;

function load(file) {
  files += 1;
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    torn += 1;
    return null;
  }
}

function probe(record) {
  if (record?.status !== "running" && record?.status !== "queued") return;
  active += 1;
  try {
    process.kill(record.pid, 0);
  } catch {
    dead += 1;
  }
}

for (const name of fs.readdirSync(state)) {
  const jobs = path.join(state, name, "jobs");
  const index = load(path.join(state, name, "state.json"));
  if (Array.isArray(index?.jobs)) index.jobs.forEach(probe);
  for (const file of fs.readdirSync(jobs)) {
    if (file.endsWith(".json")) probe(load(path.join(jobs, file)));
  }
}
console.log(JSON.stringify({ files, active, dead, torn }));
