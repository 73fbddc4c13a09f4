// Once a second: asks for the statistics in Prometheus' form, whose histograms have their sums, and
// shows what has happened since the last answer. Whatever comes from the gateway reaches the page
// as text of a node, never as markup.
"use strict";

const PERIOD_MS = 1000;
const KEPT = 60; // answers, for the lines below the numbers
const FILTER = [
  "^listener\\..*\\.ssl\\.handshake", "_queue_sizes$", "^batcher\\.", "^server\\.",
  "\\.downstream_rq_completed$",
].join("|");
const QUESTION = "/stats/prometheus?filter=" + encodeURIComponent(FILTER);

const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const unescaped = (text) => text.replace(/\\(.)/g, (_, mark) => (mark === "n" ? "\n" : mark));

// {name, labels, value} of a line; null for a comment.
function read(line) {
  const parts = /^(\w+)\{(.*)\} (\S+)$/.exec(line);
  if (parts === null) {
    return null;
  }
  const labels = {};
  for (const [, label, text] of parts[2].matchAll(LABEL)) {
    labels[label] = unescaped(text);
  }
  return { name: parts[1], labels, value: Number(parts[3]) };
}

async function ask() {
  const reply = await fetch(QUESTION, { cache: "no-store" });
  if (!reply.ok) {
    throw new Error("status " + reply.status);
  }
  const samples = (await reply.text()).split("\n").map(read).filter((one) => one !== null);
  return { at: performance.now(), samples };
}

const any = () => true;

function sum(answer, name, wanted = any) {
  return answer.samples.reduce(
    (all, one) => (one.name === name && wanted(one.labels) ? all + one.value : all), 0);
}

const grown = (now, before, name, wanted) =>
  Math.max(0, sum(now, name, wanted) - sum(before, name, wanted));

const rate = (name, wanted) => (now, before) =>
  grown(now, before, name, wanted) / ((now.at - before.at) / 1000);

// Of a histogram's new values; null without any.
const mean = (name, wanted) => (now, before) => {
  const count = grown(now, before, name + "_count", wanted);
  return count === 0 ? null : grown(now, before, name + "_sum", wanted) / count;
};

// The same, inside of a bucket all values are as likely.
const quantile = (name, part) => (now, before) => {
  const buckets = new Map();
  for (const [answer, sign] of [[now, 1], [before, -1]]) {
    for (const one of answer.samples.filter((each) => each.name === name + "_bucket")) {
      const edge = one.labels.le === "+Inf" ? Infinity : Number(one.labels.le);
      buckets.set(edge, (buckets.get(edge) || 0) + sign * one.value);
    }
  }
  const wanted = part * (buckets.get(Infinity) || 0);
  let below = 0, edge = 0;
  for (const [upper, count] of [...buckets].sort((a, b) => a[0] - b[0])) {
    if (wanted > 0 && count >= wanted) {
      return upper === Infinity ? edge : edge + (upper - edge) * ((wanted - below) / (count - below));
    }
    below = count;
    edge = upper;
  }
  return null;
};

const TIME = "envoy_listener_ssl_handshake_time_us";
const milliseconds = (part) => (now, before) => {
  const us = quantile(TIME, part)(now, before);
  return us === null ? null : us / 1000;
};
const by = (path) => (labels) => labels.path === path;
const cpu = rate("envoy_server_cpu_time_us");

const FIGURES = [
  ["handshakes", "handshakes / s", rate("envoy_listener_ssl_handshake")],
  ["p50", "handshake P50, ms", milliseconds(0.5)],
  ["p99", "handshake P99, ms", milliseconds(0.99)],
  ["progress", "handshakes in progress",
    (now) => sum(now, "envoy_listener_ssl_handshakes_in_progress")],
  ["queue", "provider's queue, mean", mean("envoy_listener_cryptomb_rsa_queue_sizes")],
  ["vector", "batched operations / s", rate("envoy_batcher_operations", by("vector"))],
  ["single", "single operations / s", rate("envoy_batcher_operations", by("libcrypto"))],
  ["requests", "requests / s", rate("envoy_http_downstream_rq_completed")],
  ["connections", "connections", (now) => sum(now, "envoy_server_total_connections")],
  ["cpu", "CPU, processors", (now, before) => cpu(now, before) / 1e6],
];

function number(value) {
  if (value === null || !Number.isFinite(value)) {
    return "–";
  }
  return value >= 100 ? Math.round(value).toString() : Number(value.toPrecision(3)).toString();
}

function make(kind, text) {
  const node = document.createElement(kind);
  node.textContent = text;
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const shown = FIGURES.map(([id, title, compute]) => {
  const box = make("section", ""), value = make("output", "–"), past = [];
  const image = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "polyline");
  value.id = id;
  image.setAttribute("viewBox", "0 0 " + (KEPT - 1) + " 20");
  image.setAttribute("preserveAspectRatio", "none");
  image.setAttribute("aria-hidden", "true");
  image.append(line);
  box.append(make("h3", title), value, image);
  document.getElementById("figures").append(box);
  return { value, line, past, compute };
});

function draw(figure, value) {
  figure.value.textContent = number(value);
  figure.past.push(value === null ? 0 : value);
  figure.past.splice(0, figure.past.length - KEPT);
  const top = Math.max(...figure.past, 1e-9), first = KEPT - figure.past.length;
  const places = figure.past.map((one, i) => first + i + "," + (19 - (18 * one) / top).toFixed(2));
  figure.line.setAttribute("points", places.join(" "));
}

function drawQueues(now, before) {
  const name = "envoy_batcher_lanes";
  const queues = now.samples.filter((one) => one.name === name + "_count");
  const rows = queues.map(({ labels: { queue } }) => {
    const wanted = (labels) => labels.queue === queue;
    const row = make("tr", "");
    row.append(make("td", queue),
      make("td", number(rate(name + "_count", wanted)(now, before))),
      make("td", number(mean(name, wanted)(now, before))));
    return row;
  });
  document.getElementById("queues").replaceChildren(...rows);
}

async function main() {
  let before = null;
  for (let answers = 1; ; ) {
    const state = document.getElementById("state");
    try {
      const now = await ask();
      if (before !== null) {
        shown.forEach((figure) => draw(figure, figure.compute(now, before)));
        drawQueues(now, before);
      }
      state.textContent = (sum(now, "envoy_server_state") === 0 ? "LIVE" : "DRAINING") +
        ", answer " + answers++;
      before = now;
    } catch (error) {
      state.textContent = "no answer: " + error.message;
      before = null;
    }
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

main();
