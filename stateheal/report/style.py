"""The look of a page: narrow and wide, light and dark, on paper. ASCII, and no address of anything in it."""

from __future__ import annotations

STYLE = """
:root {
  --ground: #fbfbf9; --card: #ffffff; --sunk: #f1f1ed; --line: #dcdcd5; --ink: #1d2125; --soft: #5a626b;
  --damage: #b3261e; --damage-ground: #fdeeec; --unsure: #805500; --unsure-ground: #fdf3dc;
  --notice: #1f5f99; --notice-ground: #e9f2fb; --good: #17693a; --good-ground: #e6f5ea;
  --completed: #3f9b74; --failed: #9a4b8f; --cancelled: #8b929a; --active: #2f78c4; --other: #b08a2e;
  --cut: #c9c9c0; --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --card: #1c2024; --sunk: #111416; --line: #363c43; --ink: #e6e8ea; --soft: #a3abb3;
    --damage: #ff8f85; --damage-ground: #3a1b19; --unsure: #f0c060; --unsure-ground: #352a12;
    --notice: #86bdf2; --notice-ground: #17293a; --good: #7fd6a0; --good-ground: #15301f;
    --completed: #4fae86; --failed: #c77fbc; --cancelled: #7d858d; --active: #5a9fe6; --other: #c9a548;
    --cut: #454c54;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .2rem 0 1rem; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; padding-bottom: .3rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 0; display: inline; }
p { margin: .4rem 0; }
code, pre { font-family: var(--mono); font-size: .87em; }
code, pre, span { unicode-bidi: isolate; }
pre { margin: 0; }
a { color: var(--notice); }
ol, ul { margin: 0; padding: 0; list-style: none; }
.soft { color: var(--soft); }
.small { font-size: .85em; }
.kicker { color: var(--soft); margin: 0; }
.verdict { display: inline-block; border-radius: .3rem; padding: .1rem .6rem; font-weight: 600; border: 1px solid; }
.verdict.bad { color: var(--damage); background: var(--damage-ground); }
.verdict.good { color: var(--good); background: var(--good-ground); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; }
.tiles dt { color: var(--soft); font-size: .85em; }
.tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; line-height: 1.2; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem;
  margin: .8rem 0; }
.panel h2 { margin: 0 0 .4rem; font-size: 1rem; border: 0; padding: 0; }
.panels > * { margin: 0 0 .8rem; }
.panel pre { white-space: pre-wrap; background: var(--sunk); border-radius: .3rem; padding: .35rem .6rem;
  margin: .2rem 0 .6rem; }
.chips { display: flex; flex-wrap: wrap; gap: .3rem .5rem; }
.chips li { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; background: var(--card); }
nav { margin: 1rem 0; }
nav a { margin-right: 1rem; }

.mark { display: inline-block; font-size: .8em; font-weight: 700; line-height: 1.5; padding: 0 .45em;
  border-radius: .25rem; border: 1.5px solid; white-space: nowrap; }
.mark.damage { color: var(--card); background: var(--damage); border-color: var(--damage); }
.mark.unsure { color: var(--unsure); background: var(--unsure-ground); border-style: dashed; }
.mark.notice { color: var(--notice); background: transparent; border-radius: 1em; }

details > summary { cursor: pointer; padding: .45rem .7rem; }
details > summary:hover { background: var(--sunk); }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--notice); outline-offset: 2px; }
.ws { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; margin: .7rem 0; }
.ws > summary { border-radius: .4rem; }
.ws[open] > summary { border-bottom: 1px solid var(--line); border-radius: .4rem .4rem 0 0; }
.hash { color: var(--soft); margin-left: .4rem; }
.tally { color: var(--soft); font-size: .9em; margin-left: .4rem; }

.finding { padding: .55rem .8rem; border-left: 4px solid transparent; }
.finding + .finding { border-top: 1px solid var(--line); }
.finding.damage { border-left: 4px solid var(--damage); }
.finding.unsure { border-left: 4px dashed var(--unsure); }
.finding.notice { border-left: 4px dotted var(--notice); }
.finding p { margin: 0 0 .15rem; }
.finding .fix { color: var(--good); }
.finding .at { color: var(--soft); font-size: .85em; }
.rule { font-weight: 700; }
@media (min-width: 60rem) {
  .panels { display: grid; grid-template-columns: 2fr 3fr; gap: .8rem; }
  .finding { display: grid; grid-template-columns: 22rem 1fr; column-gap: 1.2rem; }
  .finding .about { grid-row: 1 / span 5; }
  .finding > :not(.about) { grid-column: 2; }
  .about .job { display: block; }
}

.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .85em; color: var(--soft); }
.legend i { display: inline-block; width: 1.6em; height: .75em; border-radius: 2px; margin-right: .4em;
  background: var(--c); }
.completed { --c: var(--completed); } .failed { --c: var(--failed); } .cancelled { --c: var(--cancelled); }
.queued, .running { --c: var(--active); } .other { --c: var(--other); }
.legend .bad, .job-row.bad i { background: repeating-linear-gradient(45deg, var(--damage) 0 3px, var(--c) 3px 7px);
  outline: 1.5px solid var(--damage); }
.legend .bad { --c: var(--card); }
.legend .cut { background: repeating-linear-gradient(135deg, var(--cut) 0 2px, transparent 2px 5px); }
.strip { display: block; width: 100%; height: 14px; margin-top: .3rem; background: var(--sunk); border-radius: 2px; }
.strip path { fill: var(--c); }
.strip .bad { fill: var(--damage); }
.ends { display: flex; justify-content: space-between; gap: 1rem; color: var(--soft); font-size: .8em;
  padding: .2rem .7rem 0; }
.jobs { padding: .3rem .7rem .6rem; }
.job-row { display: grid; grid-template-columns: 1fr; padding: .2rem 0; font-size: .87em; line-height: 1.35; }
.job-row .track { position: relative; height: .8rem; background: var(--cuts, none), var(--sunk); border-radius: 2px;
  margin-top: .1rem; overflow: hidden; }
.job-row i { position: absolute; top: .1rem; bottom: .1rem; min-width: 4px; border-radius: 2px; background: var(--c); }
.job-row.bad i { outline-offset: -1.5px; }
@media (min-width: 60rem) {
  .job-row { grid-template-columns: 15rem 23rem 1fr; column-gap: 1rem; align-items: center; }
  .ends.wide { padding-left: 40.7rem; }
}

.what { font-weight: 600; }
.what code { font-family: inherit; font-size: 1em; }
.plain { color: inherit; text-decoration: none; } .plain:hover { text-decoration: underline; }
.index { padding: .4rem .9rem; columns: 24rem auto; } .index li { break-inside: avoid; font-size: .9em; }
.finding.brief { display: block; padding: .25rem .8rem; font-size: .92em; } .brief code { margin-right: .4rem; }
.alike li { font-size: .9em; padding: .1rem 0; } .alike code { margin-right: .4rem; }
.meaning { margin: .6rem 0; } .meaning dd { margin: 0 0 .1rem 1.2rem; } .meaning .fix { color: var(--good); }
.ends-text { padding: .2rem .7rem; font-size: .87em; }
.title { padding: .45rem .7rem; }
.diff { border-top: 1px solid var(--line); }
.diff > summary { font-size: .9em; }
.diff pre { overflow-x: auto; background: var(--sunk); padding: .4rem 0; line-height: 1.4; }
.diff pre > * { display: block; width: max-content; min-width: 100%; padding: 0 .7rem; text-decoration: none; }
.diff ins { background: var(--good-ground); color: var(--good); }
.diff del { background: var(--damage-ground); color: var(--damage); }
.diff b { color: var(--notice); font-weight: 600; }
.plus { color: var(--good); } .minus { color: var(--damage); }
footer { margin-top: 3rem; color: var(--soft); font-size: .85em; }

@media print {
  body { max-width: none; padding: 0; font-size: 10pt; background: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  nav { display: none; }
  .finding, .job-row, .tiles div { break-inside: avoid; }
  h2, summary { break-after: avoid; }
  .diff pre > * { width: auto; white-space: pre-wrap; }
}
"""
