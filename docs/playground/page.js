// The page around playground.js (web/exports.cpp in WebAssembly): training in slices of a few steps
// between two pictures.
"use strict";

const kExtent = 4; // pictures show [-4, 4]^2
const kSlice = 60; // milliseconds of training between two pictures
const $ = (id) => document.getElementById(id);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let nf; // the module
let running = false;
let drawn = null; // [x, y, ...] of the user's own density
let losses = []; // [step, nats]
let total = 0;
let timer = 0; // of the next slice

function failed() {
  $("said").textContent = nf.UTF8ToString(nf._last_error());
  return $("said").textContent !== "";
}

/// `count` numbers of an array that the module has made; null where it has failed.
function array(pointer, count) {
  return failed() || !pointer ? null : nf.HEAPF32.slice(pointer / 4, pointer / 4 + count);
}

/// Calls body with the address of a copy of `numbers` in the module's memory.
function withNumbers(numbers, body) {
  const pointer = nf._malloc(numbers.length * 4);
  if (!pointer) throw new Error("no memory is left");
  nf.HEAPF32.set(numbers, pointer / 4);
  const result = body(pointer);
  nf._free(pointer);
  return result;
}

// --- pictures -----------------------------------------------------------------------------------

function cleared(id) {
  const canvas = $(id), g = canvas.getContext("2d");
  g.clearRect(0, 0, canvas.width, canvas.height);
  return { g, w: canvas.width, h: canvas.height };
}
const at = (value, size) => (value / kExtent + 1) / 2 * size;

function dots(id, rows, alpha) {
  const { g, w, h } = cleared(id);
  g.fillStyle = style("--accent");
  g.globalAlpha = alpha;
  for (let i = 0; i < rows.length; i += 2) g.fillRect(at(rows[i], w), h - at(rows[i + 1], h), 2, 2);
  g.globalAlpha = 1;
}

function heat() {
  const side = 80, q = array(nf._density_grid(side, kExtent), side * side);
  if (!q) return;
  const { g, w, h } = cleared("heat");
  const image = new ImageData(side, side);
  const top = Math.max(...q) || 1;
  for (let row = 0; row < side; ++row) {
    for (let column = 0; column < side; ++column) {
      const v = Math.sqrt(q[row * side + column] / top), to = 4 * ((side - 1 - row) * side + column);
      image.data[to] = 250 - 225 * v; // from paper to deep blue
      image.data[to + 1] = 248 - 160 * v;
      image.data[to + 2] = 243 - 105 * v;
      image.data[to + 3] = 255;
    }
  }
  const small = document.createElement("canvas");
  small.width = small.height = side;
  small.getContext("2d").putImageData(image, 0, 0);
  g.drawImage(small, 0, 0, w, h);
}

function warpedGrid() {
  const lines = 17, points = 61, z = [];
  for (const across of [false, true]) {
    for (let l = 0; l < lines; ++l) {
      for (let p = 0; p < points; ++p) {
        const a = -2.4 + 4.8 * l / (lines - 1), b = -2.4 + 4.8 * p / (points - 1);
        z.push(...(across ? [a, b] : [b, a]));
      }
    }
  }
  const x = withNumbers(z, (pointer) => array(nf._warped(pointer, z.length / 2), z.length));
  if (!x) return;
  const { g, w, h } = cleared("grid");
  g.strokeStyle = style("--accent");
  g.globalAlpha = 0.6;
  for (let l = 0; l < 2 * lines; ++l) {
    g.beginPath();
    for (let p = 0; p < points; ++p) {
      const i = 2 * (l * points + p);
      g.lineTo(at(x[i], w), h - at(x[i + 1], h));
    }
    g.stroke();
  }
  g.globalAlpha = 1;
}

function curve(entropy) {
  const { g, w, h } = cleared("curve");
  const values = losses.map(([, nats]) => nats).concat(Number.isFinite(entropy) ? [entropy] : []);
  const low = Math.min(...values) - 0.1, high = Math.min(Math.max(...values), low + 3);
  const y = (nats) => h - 8 - (Math.min(nats, high) - low) / (high - low || 1) * (h - 16);
  g.strokeStyle = style("--soft");
  g.setLineDash([4, 4]);
  g.beginPath();
  if (Number.isFinite(entropy)) { g.moveTo(0, y(entropy)); g.lineTo(w, y(entropy)); }
  g.stroke();
  g.setLineDash([]);
  g.strokeStyle = style("--accent");
  g.lineWidth = 2;
  g.beginPath();
  for (const [step, nats] of losses) g.lineTo(step / total * w, y(nats));
  g.stroke();
}

// --- training -----------------------------------------------------------------------------------

function start() {
  const model = $("model").value, seed = 1;
  total = Number($("steps").value);
  losses = [];
  if (drawn) {
    withNumbers(drawn, (points) =>
      nf.ccall("make_model_of_points", "number", ["string", "number", "number", "number", "number", "number"],
        [model, points, drawn.length / 2, 0.12, total, seed]));
  } else {
    nf.ccall("make_model", "number", ["string", "string", "number", "number"],
      [model, $("density").value, total, seed]);
  }
  if (failed()) return;
  const rows = array(nf._data_rows(4000), 8000);
  if (rows) dots("data", rows, 0.5);
  running = true;
  $("start").textContent = "stop";
  slice(performance.now(), 0);
}

function stop() {
  running = false;
  clearTimeout(timer);
  $("start").textContent = "train";
}

/// Trains for a while, shows where it stands, and comes back.
function slice(began, pictures) {
  if (!running) return;
  const until = performance.now() + kSlice;
  let nats = NaN;
  for (let i = 0; i < 10 && performance.now() < until && nf._steps_done() < total; ++i) {
    nats = nf._train(5);
    if (failed()) return stop(); // each call forgets what the one before said
  }
  const done = nf._steps_done(), finished = done >= total;
  if (Number.isFinite(nats)) losses.push([done, nats]);
  const floor = nf._entropy(), seconds = (performance.now() - began) / 1000;
  const rows = array(nf._model_samples(2000), 4000);
  if (rows) dots("samples", rows, 0.5);
  if (finished || pictures % 3 === 0) { heat(); warpedGrid(); curve(floor); }
  $("told").textContent = `step ${done} of ${total}, ${(done / Math.max(seconds, 1e-3)).toFixed(0)} steps/s, loss ` +
    `${(losses.at(-1)?.[1] ?? NaN).toFixed(3)} nats` + (Number.isFinite(floor) ? `, entropy ${floor.toFixed(3)}` : "");
  if (finished) {
    const held = nf._loss();
    if (failed()) return stop();
    $("told").textContent += `; on new points ${held.toFixed(3)} nats` +
      (Number.isFinite(floor) ? `, ${(held - floor).toFixed(3)} above the entropy` : "");
    return stop();
  }
  timer = setTimeout(slice, 0, began, pictures + 1);
}

// --- drawing and digits -------------------------------------------------------------------------

/// The density in the list is that of the picture no longer, so that it can be chosen again.
function drawAnew() {
  stop();
  drawn = [];
  cleared("data");
  $("density").selectedIndex = -1;
  $("start").disabled = true;
}

function drawOn(canvas) {
  const add = (event) => {
    if (!event.buttons) return;
    if (!drawn) drawAnew();
    const box = canvas.getBoundingClientRect();
    const unit = (t) => Math.max(-1, Math.min(1, 2 * t - 1)) * kExtent;
    drawn.push(unit((event.clientX - box.left) / box.width), -unit((event.clientY - box.top) / box.height));
    dots("data", drawn, 1);
    $("start").disabled = drawn.length < 4;
  };
  canvas.addEventListener("pointerdown", add);
  canvas.addEventListener("pointermove", add);
}

async function openWeights(file) {
  let side = 0;
  $("draw").disabled = true;
  try {
    nf.FS.writeFile("/weights", new Uint8Array(await file.arrayBuffer()));
    side = nf.ccall("load_digits", "number", ["string"], ["/weights"]);
    nf.FS.unlink("/weights");
    $("draw").disabled = failed();
  } catch (error) {
    $("said").textContent = `${file.name} cannot be read: ${error.message}`;
  }
  if (side) digits(side);
  $("draw").onclick = (event) => { event.preventDefault(); digits(side); };
}

function digits(side) {
  const columns = 16, rows = 8, n = columns * rows;
  const pixels = array(nf._digit_samples(n, Number($("temperature").value)), n * side * side);
  if (!pixels) return;
  $("digits").width = columns * side;
  $("digits").height = rows * side;
  const image = new ImageData(columns * side, rows * side);
  for (let i = 0; i < pixels.length; ++i) {
    const picture = Math.floor(i / (side * side)), p = i % (side * side);
    const x = picture % columns * side + p % side, y = Math.floor(picture / columns) * side + Math.floor(p / side);
    image.data.fill(255 - pixels[i], 4 * (y * columns * side + x), 4 * (y * columns * side + x) + 3);
    image.data[4 * (y * columns * side + x) + 3] = 255;
  }
  $("digits").getContext("2d").putImageData(image, 0, 0);
}

async function load() {
  if (typeof createPlayground === "undefined") {
    $("told").textContent = "playground.js is not built: run scripts/playground, then serve this folder";
    return;
  }
  nf = await createPlayground();
  for (const name of nf.UTF8ToString(nf._density_names()).split(",")) $("density").add(new Option(name));
  $("density").addEventListener("change", () => { drawn = null; $("start").disabled = false; });
  $("controls").addEventListener("submit", (event) => { event.preventDefault(); running ? stop() : start(); });
  $("clear").addEventListener("click", drawAnew);
  $("weights").addEventListener("change", (event) => event.target.files[0] && openWeights(event.target.files[0]));
  drawOn($("data"));
  $("start").disabled = false;
  $("told").textContent = "ready";
  if (location.hash) { // index.html#rings/500 begins at once
    const [density, steps] = location.hash.slice(1).split("/");
    $("density").value = density;
    if (steps) $("steps").value = steps;
    start();
  }
}
load().catch((error) => { $("told").textContent = `this browser cannot start it, or playground.wasm is not there: ${error.message}`; });
