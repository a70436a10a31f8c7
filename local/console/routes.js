// What requests of each route came to lately: how many, how fast, how they ended, what they cost.

import { svg } from "./lit-html/lit-html.js";
import { ask, asked, cell, check, choice, clock, draw, filters, head, html, milliseconds, nothing, place, repeat, short, to } from "./page.js";

const WINDOWS = [["60", "last minute"], ["300", "last 5 minutes"], ["3600", "last hour"], ["86400", "last day"]];
const windowOf = ({ seconds = "60" }) => seconds;

export const title = "Routes";

let told = null;
let sorted = { by: "p95", descending: true };

export async function poll() {
  const { parameters } = place();
  told = await ask(asked("routes", { seconds: windowOf(parameters), assets: parameters.assets ?? "false" }));
}

const number = (label, sort, hide) => ({ label, sort, number: true, hide });
const COLUMNS = [
  { label: "Route", sort: "route" },
  number("Requests", "count"),
  number("Refused", "refused", "phone"),
  number("Failed", "failed", "phone"),
  number("p50 ms", "p50", "phone"),
  number("p95 ms", "p95"),
  number("p99 ms", "p99", "narrow"),
  number("Max ms", "max", "narrow"),
  { label: "p95 over time", width: "plot" },
  number("Calls", "calls", "narrow"),
  number("Read units", "read_units", "narrow"),
  number("Write units", "write_units", "narrow"),
  number("$ a million", "dollars_per_million", "phone"),
];

const WIDTH = 4;
const HEIGHT = 24;

/** A bar for each step of the window: how high is the 95th percentile of its requests. */
function plot({ plot, route }) {
  const highest = Math.max(...plot.map(({ p95 }) => p95 ?? 0));
  const bar = ({ p95, count }, at) => {
    if (p95 === null) return nothing;
    const height = Math.max(1.5, (p95 / highest) * HEIGHT);
    return svg`<rect x=${at * WIDTH} y=${HEIGHT - height} width=${WIDTH - 1} height=${height}><title>${count} requests, p95 ${milliseconds(p95)} ms</title></rect>`;
  };
  const about = `p95 of ${route} over time, up to ${milliseconds(highest)} ms`;
  return html`<svg class="plot" role="img" aria-label=${about} viewBox="0 0 ${plot.length * WIDTH} ${HEIGHT}" width=${plot.length * WIDTH} height=${HEIGHT}>
    ${plot.map(bar)}</svg>`;
}

function row(summed, name) {
  const [, count, refused, failed, p50, p95, p99, max, time, calls, reads, writes, cost] = COLUMNS;
  const some = (count) => (count === 0 ? "" : String(count));
  return html`<tr>
    <th scope="row" class="path">${name}</th>
    ${cell(count, String(summed.count))}
    ${cell(refused, some(summed.refused), summed.refused > 0 ? "refused" : "")}
    ${cell(failed, some(summed.failed), summed.failed > 0 ? "failed" : "")}
    ${cell(p50, milliseconds(summed.p50))}
    ${cell(p95, milliseconds(summed.p95))}
    ${cell(p99, milliseconds(summed.p99))}
    ${cell(max, milliseconds(summed.max), "", summed.cold > 0 ? `${summed.cold} cold starts` : nothing)}
    ${cell(time, plot(summed))}
    ${cell(calls, short(summed.calls))}
    ${cell(reads, short(summed.read_units))}
    ${cell(writes, short(summed.write_units))}
    ${cell(cost, summed.dollars_per_million.toFixed(2))}
  </tr>`;
}

function inOrder(routes) {
  const { by, descending } = sorted;
  const up = (a, b) => (typeof a[by] === "string" ? a[by].localeCompare(b[by]) : a[by] - b[by]);
  return [...routes].sort((a, b) => (descending ? up(b, a) : up(a, b)));
}

export function view({ parameters }) {
  const seconds = windowOf(parameters);
  const about = WINDOWS.find(([its]) => its === seconds)?.[1] ?? `last ${seconds} seconds`;
  const bar = filters("Routes", choice("Time", "seconds", seconds, WINDOWS), check("Assets", "assets", parameters.assets));
  if (told === null) return bar;
  const change = (by, descending) => {
    sorted = { by, descending };
    draw();
  };
  const slowest = slowestOf(told.routes);
  const link = (route) => html`<a href=${to("requests", null, null, { route })}>${route}</a>`;
  return html`${bar}
    <section class="scroll" tabindex="0" aria-labelledby="routes-title">
      <h2 id="routes-title">Routes, ${about}</h2>
      <p class="about">${slowest === null
        ? "No request came in this time."
        : html`The slowest is ${link(slowest.route)}: 95 of 100 requests took no more than ${milliseconds(slowest.p95)} ms.`}</p>
      <table aria-labelledby="routes-title" ?hidden=${slowest === null}>
        ${head(COLUMNS, { ...sorted, change })}
        <tbody>${repeat(inOrder(told.routes), ({ route }) => route, (summed) => row(summed, link(summed.route)))}</tbody>
        <tfoot>${told.routes.length > 1 ? row(told.all, "All") : nothing}</tfoot>
      </table>
    </section>
    <footer>From ${clock(told.since)} to ${clock(told.until)}, of the latest 10,000 requests. Times are from the end of a request's head to the
      start of its answer; calls, units and dollars are means.</footer>`;
}

/** The slowest of all, if there is any. */
const slowestOf = (routes) => routes.reduce((slowest, summed) => (slowest !== null && slowest.p95 >= summed.p95 ? slowest : summed), null);
