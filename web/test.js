// What the page relies on, under node: test.js FOLDER WEIGHTS, the folder of playground.js and a file of
// weights of pixels. Exits with 1 at the first thing that is not so. test.js FOLDER --speed MODEL STEPS
// prints steps in a second of processor time.
"use strict";

const assert = require("assert");
const fs = require("fs");
const path = require("path");

const [folder, weights, model, steps] = process.argv.slice(2);
const near = (a, b, error) => Math.abs(a - b) <= error;

async function load() {
  const create = require(path.resolve(folder, "playground.js"));
  return create({ wasmBinary: fs.readFileSync(path.join(folder, "playground.wasm")) });
}

/// Trains; returns [nats above the entropy on new points, steps in a second of processor time].
function trained(nf, name, density, total) {
  assert.equal(nf.ccall("make_model", "number", ["string", "string", "number", "number"], [name, density, total, 1]), 1,
    nf.UTF8ToString(nf._last_error()));
  const began = process.cpuUsage();
  while (nf._steps_done() < total) assert(Number.isFinite(nf._train(50)), nf.UTF8ToString(nf._last_error()));
  const used = process.cpuUsage(began), seconds = (used.user + used.system) * 1e-6;
  return [nf._loss() - nf._entropy(), total / seconds];
}

function numbers(nf, pointer, count) {
  assert.notEqual(pointer, 0, nf.UTF8ToString(nf._last_error()));
  return Array.from(nf.HEAPF32.subarray(pointer / 4, pointer / 4 + count));
}

function withNumbers(nf, values, body) {
  const pointer = nf._malloc(4 * values.length);
  nf.HEAPF32.set(values, pointer / 4);
  const result = body(pointer);
  nf._free(pointer);
  return result;
}

function picturesAreOfTheDensity(nf) {
  const side = 100, extent = 4, q = numbers(nf, nf._density_grid(side, extent), side * side);
  const mass = q.reduce((a, b) => a + b, 0) * (2 * extent / side) ** 2;
  assert(near(mass, 1, 0.03), `the density has the mass ${mass}`);
  const n = 4000, draws = numbers(nf, nf._model_samples(n), 2 * n), rows = numbers(nf, nf._data_rows(n), 2 * n);
  for (const k of [0, 1]) {
    const mean = (all) => all.filter((_, i) => i % 2 === k).reduce((a, b) => a + b, 0) / n;
    assert(near(mean(draws), mean(rows), 0.15), `means of coordinate ${k}: ${mean(draws)} and ${mean(rows)}`);
  }
  const z = [0, 0, 1, -1], x = withNumbers(nf, z, (at) => numbers(nf, nf._warped(at, 2), 4));
  assert(x.every(Number.isFinite) && (x[0] !== x[2] || x[1] !== x[3]));
}

function faultsAreTold(nf) {
  const make = (name, density) =>
    nf.ccall("make_model", "number", ["string", "string", "number", "number"], [name, density, 10, 1]);
  const said = () => nf.UTF8ToString(nf._last_error());
  assert.equal(make("realnvp-2d", "moon"), 0);
  assert.match(said(), /there is no density 'moon'.*moons/);
  assert(Number.isNaN(nf._train(1)));
  assert.match(said(), /make a model first/);
  assert.equal(make("glow", "moons"), 0);
  assert.match(said(), /glow/);
  nf.FS.writeFile("/broken", "no weights at all, but a text of some length");
  assert.equal(nf.ccall("load_digits", "number", ["string"], ["/broken"]), 0);
  assert.match(said(), /broken/);
  const deep = "[".repeat(100000) + "]".repeat(100000);
  const settings = `{"dims":4,"levels":256,"hidden_units":${deep}}`;
  let header = JSON.stringify({ __metadata__: { model: "nice", settings } });
  header += " ".repeat((8 - header.length % 8) % 8);
  const length = Buffer.alloc(8);
  length.writeUInt32LE(header.length);
  nf.FS.writeFile("/deep", Buffer.concat([length, Buffer.from(header)]));
  assert.equal(nf.ccall("load_digits", "number", ["string"], ["/deep"]), 0);
  assert.notEqual(said(), "");
}

function drawnIsLearned(nf) {
  const points = [];
  for (let i = 0; i < 50; ++i) points.push(-2 + i * 0.08, Math.sin(i / 8));
  withNumbers(nf, points, (at) =>
    assert.equal(nf.ccall("make_model_of_points", "number", ["string", "number", "number", "number", "number", "number"],
      ["nsf", at, points.length / 2, 0.12, 40, 1]), 1, nf.UTF8ToString(nf._last_error())));
  const first = nf._train(5);
  for (let i = 0; i < 6; ++i) nf._train(5);
  assert(nf._train(5) < first - 0.2, "a drawn density is not learned");
  assert(Number.isNaN(nf._entropy()));
}

function digitsAreDrawn(nf) {
  nf.FS.writeFile("/weights", fs.readFileSync(weights));
  const side = nf.ccall("load_digits", "number", ["string"], ["/weights"]);
  assert.equal(side, 5, nf.UTF8ToString(nf._last_error()));
  const pixels = numbers(nf, nf._digit_samples(10, 0.8), 10 * side * side);
  assert(pixels.every((p) => Number.isInteger(p) && p >= 0 && p <= 255) && new Set(pixels).size > 5);
}

async function main() {
  const nf = await load();
  if (weights === "--speed") {
    const [above, speed] = trained(nf, model, "moons", Number(steps));
    console.log(`${model}: ${speed.toFixed(1)} steps/s, ${above.toFixed(4)} nats above the entropy`);
    return;
  }
  faultsAreTold(nf);
  digitsAreDrawn(nf);
  drawnIsLearned(nf);
  const [above, speed] = trained(nf, "realnvp-2d", "moons", 600);
  console.log(`moons: ${above.toFixed(4)} nats above the entropy after 600 steps, ${speed.toFixed(1)} steps/s`);
  assert(above > -0.02 && above < 0.1, `moons: ${above} nats above the entropy`);
  picturesAreOfTheDensity(nf);
  console.log("the playground works");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
